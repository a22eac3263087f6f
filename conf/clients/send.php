<?php
// PHP sends through the relay: PHPMailer (`composer require phpmailer/phpmailer`, or Debian's libphp-phpmailer).
//
//   SMTP_HOST=mail.example.com SMTP_USER=... SMTP_PASSWORD=... php send.php SENDER SUBJECT RECIPIENT...
//
// SMTP_PORT is 587 (STARTTLS), or 465 with SMTP_TLS=wrapper. If the relay's certificate signs itself, as `relay init`
// makes it, SSL_CERT_FILE (or openssl.cafile in php.ini) names a copy of its tls.crt. Exit status: 0 sent, 75 try again
// later, 69 do not try again before something has been mended.
declare(strict_types=1);

use PHPMailer\PHPMailer\Exception;
use PHPMailer\PHPMailer\PHPMailer;

$composer = __DIR__ . '/vendor/autoload.php';
require is_file($composer) ? $composer : '/usr/share/php/libphp-phpmailer/autoload.php';

$wrapper = getenv('SMTP_TLS') === 'wrapper';
$mail = new PHPMailer(true); // failures are exceptions
$mail->isSMTP();
$mail->Host = getenv('SMTP_HOST');
$mail->Port = (int) (getenv('SMTP_PORT') ?: ($wrapper ? 465 : 587));
$mail->SMTPSecure = $wrapper ? PHPMailer::ENCRYPTION_SMTPS : PHPMailer::ENCRYPTION_STARTTLS; // never without
$mail->SMTPAuth = true;
$mail->Username = getenv('SMTP_USER');
$mail->Password = getenv('SMTP_PASSWORD');
$mail->Timeout = 60;
$mail->SMTPKeepAlive = true; // for the messages that come next; the last one is followed by smtpClose()
$mail->CharSet = PHPMailer::CHARSET_UTF8;

$served = [];
$mail->action_function = function (bool $isSent, array $to) use (&$served): void {
    if ($isSent) {
        $served[] = $to[0][0];
    }
};

[, $sender, $subject] = $argv;
try {
    $mail->setFrom($sender); // MAIL FROM too
    foreach (array_slice($argv, 3) as $recipient) {
        $mail->addAddress($recipient);
    }
    $mail->Subject = $subject;
    $mail->Body = "Grüße aus PHP.\n";
    $mail->addStringAttachment("no,name\n1,Jörg\n", 'list.csv', PHPMailer::ENCODING_BASE64, 'text/csv');
    $mail->send();
    echo "sent\n";
} catch (Exception $failure) {
    if ($served) { // some were refused, the others have it
        echo 'refused ', trim($failure->getMessage()), "\nsent\n";
        exit(0);
    }
    // The relay's code; after a wrong password PHPMailer has left the session, and keeps only that it was so.
    $error = $mail->getSMTPInstance()->getError();
    $isLogin = str_contains($failure->getMessage(), 'Could not authenticate');
    $code = $isLogin ? 535 : (int) $error['smtp_code'];
    fwrite(STDERR, "failed $code {$failure->getMessage()} {$error['detail']}\n");
    exit($code >= 500 ? 69 : 75);
} finally {
    $mail->smtpClose();
}
