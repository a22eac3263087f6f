"""Django sends through the relay: these lines go into settings.py. Nothing else has to change."""

import os

EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = os.environ.get("SMTP_HOST", "mail.example.com")
EMAIL_HOST_USER = os.environ["SMTP_USER"]
EMAIL_HOST_PASSWORD = os.environ["SMTP_PASSWORD"]
EMAIL_TIMEOUT = 60  # seconds; without it, a request waits for as long as the network likes

# STARTTLS. For TLS from the first byte: 465, EMAIL_USE_SSL instead of EMAIL_USE_TLS; never both.
EMAIL_PORT = int(os.environ.get("SMTP_PORT", "587"))
EMAIL_USE_TLS = True

# The domain, or these addresses, must be verified identities of the account.
DEFAULT_FROM_EMAIL = "app@example.com"
SERVER_EMAIL = "errors@example.com"  # the sender of mail to ADMINS
