// Java sends through the relay: Jakarta Mail (Maven: org.eclipse.angus:jakarta.mail, or com.sun.mail:jakarta.mail 2.0;
// Debian's libjakarta-mail-java; Spring Boot: the same settings below spring.mail.properties).
//
//   javac -cp jakarta-mail.jar Send.java
//   SMTP_HOST=mail.example.com SMTP_USER=... SMTP_PASSWORD=... \
//     java -cp jakarta-mail.jar:jakarta-activation.jar:. Send SENDER SUBJECT RECIPIENT...
//
// SMTP_PORT is 587 (STARTTLS), or 465 with SMTP_TLS=wrapper. If the relay's certificate signs itself, as `relay init`
// makes it, put it into a store
//
//   keytool -importcert -noprompt -alias relay -file tls.crt -keystore relay.p12 -storepass changeit
//
// and name that: java -Djavax.net.ssl.trustStore=relay.p12 -Djavax.net.ssl.trustStorePassword=changeit ... (a store
// without its password counts as empty). Exit status: 0 sent, 75 try again later, 69 do not try again before something
// has been mended.

import com.sun.mail.smtp.SMTPAddressFailedException;
import com.sun.mail.smtp.SMTPSendFailedException;
import com.sun.mail.smtp.SMTPTransport;
import jakarta.mail.AuthenticationFailedException;
import jakarta.mail.Message;
import jakarta.mail.MessagingException;
import jakarta.mail.Session;
import jakarta.mail.internet.InternetAddress;
import jakarta.mail.internet.MimeBodyPart;
import jakarta.mail.internet.MimeMessage;
import jakarta.mail.internet.MimeMultipart;
import java.util.Properties;

public class Send {
    public static void main(String[] words) {
        boolean wrapper = "wrapper".equals(System.getenv("SMTP_TLS"));
        Properties settings = new Properties();
        settings.put("mail.smtp.starttls.enable", String.valueOf(!wrapper));
        settings.put("mail.smtp.starttls.required", String.valueOf(!wrapper)); // never without
        settings.put("mail.smtp.ssl.enable", String.valueOf(wrapper));
        settings.put("mail.smtp.ssl.checkserveridentity", "true"); // the name in the certificate: off by itself
        settings.put("mail.smtp.auth", "true");
        settings.put("mail.smtp.connectiontimeout", "60000"); // these three have no end by themselves
        settings.put("mail.smtp.timeout", "60000");
        settings.put("mail.smtp.writetimeout", "60000");
        settings.put("mail.smtp.sendpartial", "true"); // those who are not refused get it
        Session session = Session.getInstance(settings);
        String port = System.getenv().getOrDefault("SMTP_PORT", wrapper ? "465" : "587");
        // A Transport may be kept for the messages that come next.
        try (SMTPTransport transport = (SMTPTransport) session.getTransport("smtp")) {
            transport.connect(System.getenv("SMTP_HOST"), Integer.parseInt(port),
                System.getenv("SMTP_USER"), System.getenv("SMTP_PASSWORD"));
            MimeMessage message = compose(session, words);
            try {
                transport.sendMessage(message, message.getAllRecipients());
            } catch (MessagingException failure) {
                if (transport.getLastReturnCode() != 250) throw failure;
                // Some were refused, the others have it; 4xx: send to these again later.
                for (Exception one = failure; one != null; one = next(one)) {
                    if (one instanceof SMTPAddressFailedException refused) {
                        System.out.println("refused " + refused.getAddress() + " " + refused.getReturnCode());
                    }
                }
            }
            System.out.print("sent " + transport.getLastServerResponse());
        } catch (MessagingException failure) {
            int code = code(failure);
            System.err.println("failed " + code + " " + failure.getMessage());
            System.exit(code >= 500 ? 69 : 75);
        }
    }

    static MimeMessage compose(Session session, String[] words) throws MessagingException {
        MimeMessage message = new MimeMessage(session);
        message.setFrom(new InternetAddress(words[0]));
        message.setSubject(words[1], "UTF-8");
        for (int number = 2; number < words.length; number++) {
            message.addRecipient(Message.RecipientType.TO, new InternetAddress(words[number]));
        }
        MimeBodyPart text = new MimeBodyPart();
        text.setText("Gr\u00fc\u00dfe aus Java.\n", "UTF-8");
        MimeBodyPart list = new MimeBodyPart();
        list.setText("no,name\n1,J\u00f6rg\n", "UTF-8", "csv");
        list.setFileName("list.csv");
        message.setContent(new MimeMultipart(text, list));
        return message;
    }

    /** The relay's reply code; 0 where there was none: no connection, or a certificate that is not to be trusted. */
    static int code(MessagingException failure) {
        for (Exception one = failure; one != null; one = next(one)) {
            if (one instanceof SMTPAddressFailedException refused) return refused.getReturnCode();
            if (one instanceof SMTPSendFailedException refused) return refused.getReturnCode();
            if (one instanceof AuthenticationFailedException) return 535;
        }
        return 0;
    }

    static Exception next(Exception one) {
        return one instanceof MessagingException failure ? failure.getNextException() : null;
    }
}
