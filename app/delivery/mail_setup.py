"""The e-mail of this installation, put together from its settings."""

from app.delivery.channels.email import EmailChannel, MailRelay
from app.delivery.channels.mail_message import MailSender
from app.delivery.channels.mail_return_path import ReturnPaths
from app.delivery.channels.mail_signing import Signer, read_key
from app.platform.sealing import blind_index
from app.platform.settings import settings


def email_channel() -> EmailChannel:
    """Make the e-mail channel. Nothing is connected before the first message.

    Raises:
        Misconfigured: a signing key cannot be read, or return paths are wanted and no index key is set.
        InvalidInput: the sender or the return address is none.
    """
    mail = settings().email
    relay = MailRelay(
        host=mail.host,
        port=mail.port,
        username=mail.username or None,
        password=mail.password.get_secret_value() or None,
        start_tls=True if mail.start_tls else None,
    )
    sender = MailSender(
        name=mail.sender_name,
        address=mail.sender_address,
        list_id=mail.list_id or f"notices.{mail.sender_domain}",
        return_paths=return_paths(),
        signer=signer(),
    )
    return EmailChannel(relay, sender, connections=mail.connections)


def return_paths() -> ReturnPaths | None:
    """Return how mail comes back to us; None where it is not read."""
    address = settings().email.return_address
    return ReturnPaths(address, blind_index("return path", "mail")) if address else None


def signer() -> Signer | None:
    """Return who signs our mail; None where the relay does."""
    mail = settings().email
    keys = tuple(read_key(selector, path) for selector, path in sorted(mail.dkim_keys.items()))
    return Signer(mail.dkim_domain or mail.sender_domain, keys) if keys else None
