// Node sends through the relay: nodemailer (`npm install` beside package.json).
//
//   SMTP_HOST=mail.example.com SMTP_USER=... SMTP_PASSWORD=... node send.mjs SENDER SUBJECT RECIPIENT...
//
// SMTP_PORT is 587 (STARTTLS), or 465 with SMTP_TLS=wrapper. If the relay's certificate signs itself, as `relay init`
// makes it, NODE_EXTRA_CA_CERTS names a copy of its tls.crt. Exit status: 0 sent, 75 try again later, 69 do not try
// again before something has been mended.
import nodemailer from "nodemailer";

const wrapper = process.env.SMTP_TLS === "wrapper";
const transport = nodemailer.createTransport({
  host: process.env.SMTP_HOST,
  port: Number(process.env.SMTP_PORT ?? (wrapper ? 465 : 587)),
  secure: wrapper, // TLS from the first byte
  requireTLS: !wrapper, // STARTTLS, and nothing at all where it is not offered: without this line it is as it comes
  auth: { user: process.env.SMTP_USER, pass: process.env.SMTP_PASSWORD },
  pool: true, // sessions are kept and used again
  maxConnections: 5,
  maxMessages: 1000, // a session
});

const [sender, subject, ...recipients] = process.argv.slice(2);
try {
  const info = await transport.sendMail({
    from: sender,
    to: recipients,
    subject,
    text: "Grüße aus Node.\n",
    attachments: [{ filename: "list.csv", content: "no,name\n1,Jörg\n" }],
  });
  // The others have it; where responseCode is a 4xx, send to these again later.
  for (const error of info.rejectedErrors ?? []) console.log("refused", error.recipient, error.responseCode);
  console.log("sent", info.response); // 250 and the relay's id of the message
} catch (error) {
  // responseCode is the relay's; without one there was no connection, or a certificate that is not to be trusted.
  console.error("failed", error.responseCode ?? error.code, error.response ?? error.message);
  process.exitCode = error.responseCode >= 500 ? 69 : 75;
} finally {
  transport.close();
}
