"""Relay: a standalone outbound mail relay daemon.

The path of a message, in the order of the packages that carry it:

1. ``ingress``    a socket becomes an envelope and bytes (SMTP, TLS, AUTH);
2. ``policy``     may this account send this, now?
3. ``signing``    trace headers, then DKIM; after this no byte of the message changes;
4. ``spool``      the promise on disk; the 250 follows it;
5. ``traffic``    which message leaves, and when;
6. ``transport``  the dialogue with the receiver's mail server;
7. ``verdict``    what the outcome means, and who hears of it.

Below the stages lie ``base`` (words), ``codec`` (bytes to words and back, no I/O) and ``directory`` (who
exists); above them ``admin`` (metrics, health) and ``daemon`` (the processes, the CLI and the wiring).

Glossary, one word a thing:

message      what one 250 promised: an id, a sender, recipients and content
recipient    one RCPT TO of a message, known by its number within the message for as long as it lives
account      on whose behalf mail is sent; owns credentials, identities, limits
access       how far an account is trusted: in the sandbox it writes to verified recipients only
limits       of an account: recipients a second (rate) and in any 24 hours (quota)
ledger       who has used how much of its limits, over all workers; kept by the supervisor
lease        a part of an account's limits that a worker may spend without asking the ledger, for 0.1 s
credential   an access key id with its secret; the SMTP password derives from the secret
identity     a domain or an address that an account has proved to be its own
token        random letters that an owner publishes: to prove a domain, or as a selector of a DKIM key
link         in a mail to an address: whoever opens it and presses the button proves the address, once
topic        where an account's notifications go: a web address of its own
notification  what an identity tells of events that belong together, in SES's JSON
notice       what the relay writes to an account's contact; an event tells of it
duty         a kind of thing that worker 0 looks at again and again (records, proofs)
policy domain  the domain of the recipients, whose wishes for TLS hold, and which is told how TLS fared
claim        a row that is due is one node's to look at, for some minutes
turn         one DKIM key takes over from another
envelope     MAIL FROM, RCPT TO and their parameters
return path  MAIL FROM as receivers see it where it is ours: id, proof, domain; reports come back to it
content      header and body, exactly as they go on the wire, without dot-stuffing
submission   an envelope and content that someone hands in
shard        the part of the spool that one worker owns
change       what one transaction writes to a shard
site         a set of MX hosts (or a next hop); all domains behind it share its limits
source       the addresses of ours that connections leave from, and our name in EHLO there
lane         one source to one site with one demand for TLS: has its own queue, connections and feedback
parked       due, and waiting on disk until its lane has room, is reached again, or is resumed
deadline     when a sender wants to hear that a message has not arrived, if before it expires
rank         the moment after which a message is late; within an account the earliest leaves first
rule         what an administrator allows towards a receiver: connections, rate, messages per connection
flow         what is found out of one receiver from one source: connections, pace, reply time
pace         the rate that a receiver bears, and the bucket that keeps to it
group        lanes that share a flow, so that the receiver sees one of us: TLS aside, or by rollup
rollup       all sites that a rule matches are one receiver
share        the part of a lane's connections and rate that one worker may use now; lent by the supervisor
moment       when one message may leave a lane whose rate a rule bounds; each is given to one worker
route        where a domain's mail goes: a site, its hosts, its TLS and AUTH
demand       what of TLS a route asks beyond its mode: DANE, MTA-STS, REQUIRETLS
wish         what a message itself says about TLS: REQUIRETLS, or "TLS-Required: No"
attempt      one try to hand a message to one lane, for one or more of its recipients
session      one SMTP dialogue, ours as server (ingress) or as client (transport)
outcome      what an attempt meant for one recipient: delivered, deferred or failed
scope        how far a refusal reaches: recipient, message, session or site
reason       why, in one word of a fixed list
event        a row in the outbox: what happened to a message, for those who want to hear
point        what was counted of an account's mail in a quarter of an hour, by identity and receiver domain
volume       the newest mail of an account that stands for the rest: what its rates are of
standing     how an account's bounce and complaint rates are, and what its contact was told of them
uncertain    the dot was sent and no one knows the reply: may be delivered twice
control      what a message's X-SES-* fields ask of the relay; kept with it, told in its events, not sent
simulator    the receiver inside the relay, at simulator.<service domain>, to try out an application
suppression list  addresses to which nothing is sent: an account's own, and the service-wide one
suppressed   on such a list when the message came in: accepted, and bounced without an attempt
trace        what an operator watches of the sessions of others, while they happen
trail        one session's lines on their way to those who trace it
fate         what became of one recipient, as far as events tell
finding      what the doctor says of one thing that receivers look at, and the record to publish
report       the RFC 3464 message that tells the sender what became of recipients
bounce       the report that they failed; others are of success, and the notice of delay, once a recipient
hard         of a bounce: permanent, the address itself is no good
complaint    a recipient called it spam, and the provider passes that on (RFC 5965)
door         what an address of our own is to mail that comes back: a way back, a desk, or nobody's
original     the message that something came back about, as its Send event keeps it
late         waiting longer than its sender would think, or past the deadline at which the sender is told
"""

__version__ = "0.5.0"
