<?php
// Symfony (and Laravel, which uses the same) sends through the relay: its mailer with a DSN.
//
//   MAILER_DSN=smtps://USER:PASSWORD@mail.example.com:465 php symfony.php SENDER SUBJECT RECIPIENT...
//
// In .env of an application the same line is all that is needed. USER and PASSWORD are URL-encoded: + is %2B, / is %2F,
// = is %3D, as passwords of the relay have them. smtps:// is TLS from the first byte and never without. smtp:// with
// 587 is STARTTLS where the server offers it: on a network that others can touch add ?require_tls=true (Symfony 7.3 and
// later), or take smtps://. For a certificate that signs itself, SSL_CERT_FILE or openssl.cafile in php.ini.
declare(strict_types=1);

use Symfony\Component\Mailer\Exception\TransportExceptionInterface;
use Symfony\Component\Mailer\Transport;
use Symfony\Component\Mime\Email;

$composer = __DIR__ . '/vendor/autoload.php';
require is_file($composer) ? $composer : '/usr/share/php/Symfony/Component/Mailer/autoload.php';

[, $sender, $subject] = $argv;
$email = (new Email())
    ->from($sender)
    ->to(...array_slice($argv, 3))
    ->subject($subject)
    ->text("Grüße aus Symfony.\n")
    ->attach("no,name\n1,Jörg\n", 'list.csv', 'text/csv');
try {
    Transport::fromDsn(getenv('MAILER_DSN'))->send($email);
    echo "sent\n";
} catch (TransportExceptionInterface $failure) {
    // Where one recipient is refused, nobody has it. The code is the relay's; 0 is no connection, a certificate, or with
    // older versions a wrong password.
    $code = $failure->getCode() ?: (str_contains($failure->getMessage(), '"535"') ? 535 : 0);
    fwrite(STDERR, "failed $code {$failure->getMessage()}\n");
    exit($code >= 500 ? 69 : 75);
}
