"""Settings from the environment (prefix `TODOKE_`, nested with `__`); nothing else configures Todoke.

The same names serve the embedded servers, a test and production: `TODOKE_DATABASE__URL=postgresql+psycopg://…`.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_DIRECTORY = Path(__file__).resolve().parents[2]


class DatabaseSettings(BaseModel):
    """One address per login role. Each role has its own password in production."""

    url: str = Field(default="", description="as todoke_app, for web processes")
    worker_url: str = Field(default="", description="as todoke_worker, for Celery workers")
    owner_url: str = Field(default="", description="as todoke_owner, for migrations and registry loading only")
    pool_size: int = 5


class RedisSettings(BaseModel):
    """The doorbell's address in the form Celery takes (redis://… or redis+socket://…)."""

    url: str = ""


class ClockSettings(BaseModel):
    """A file that holds the seconds to add to real time (demo and sandbox only; absent = real time)."""

    offset_file: Path | None = None


class SealingSettings(BaseModel):
    """Key-encryption keys by id (base64, 32 bytes each) and the key of blind indexes."""

    keys: dict[str, SecretStr] = Field(default_factory=dict)
    active_key: str = ""
    index_key: SecretStr = SecretStr("")


class EmailSettings(BaseModel):
    """The relay that takes our mail, who we are in it, and where mail comes back to."""

    host: str = "localhost"
    port: int = 25
    username: str = ""
    password: SecretStr = SecretStr("")
    start_tls: bool = False
    connections: int = Field(default=8, ge=1, le=100, description="kept open to the relay by one worker process")
    sender_name: str = "Todoke"
    sender_address: str = "oshirase@todoke.invalid"
    list_id: str = Field(default="", description="empty: `notices.` and the sender's domain")
    return_address: str = Field(default="", description="where bounces are read; empty: nothing is read")
    dkim_domain: str = Field(default="", description="empty: the sender's domain")
    dkim_keys: dict[str, Path] = Field(default_factory=dict, description="selector → file of a private key (PEM)")

    @property
    def sender_domain(self) -> str:
        """What stands after the @ of our address: what families allow in the settings of their phones."""
        return self.sender_address.rpartition("@")[2]


class LineSettings(BaseModel):
    """The LINE-style Messaging API and our one official account in it.

    User ids are known to one provider only, so a second account would need its own contacts: there is one.
    """

    base_url: str = "https://api.line.me"
    channel_token: SecretStr = SecretStr("")
    channel_secret: SecretStr = Field(
        default=SecretStr(""), description="signs what comes in; empty = nothing comes in"
    )
    bot_user_id: str = Field(default="", description="whom incoming events must name as their destination")
    link_dialog_url: str = "https://access.line.me/dialog/bot/accountLink"
    pushes_per_second: float = Field(default=1000.0, description="of all processes together; LINE publishes 2,000")
    reserve_share: float = Field(default=0.1, description="of the month's quota, kept for last-week deadlines")


class DeliverySettings(BaseModel):
    """How long a worker may keep a claimed delivery before another takes it, and how often due ones are looked for.

    The lease must be longer than any channel's total deadline, or a slow receiver gets the same message twice.
    """

    lease_seconds: float = 40.0
    sweep_seconds: float = 5.0


class CampaignSettings(BaseModel):
    """When a publication asks before it is told, and when a few families hear of it first."""

    tolerance: float = Field(default=0.2, description="how far gains and losses may be from the preview, as a share")
    least_difference: int = Field(default=10, description="households; a smaller difference asks nobody")
    most_without_preview: int = Field(default=10_000, description="households; more without a preview are asked about")
    canary_over: int = Field(default=10_000, description="households; larger campaigns begin with a few of them")
    canary_share: float = Field(default=0.01, description="how many hear first")
    canary_minutes: float = Field(default=30.0, description="from when half of them were told to the look at them")
    most_failed: float = Field(default=0.05, description="share of their messages that may fail for good")
    most_contradicted: float = Field(default=0.1, description="share of those told who say that it is not theirs")
    least_judged: int = Field(default=10, description="below so many of either, a share says nothing")


class OperatorSettings(BaseModel):
    """Who runs this installation."""

    address: str = Field(default="", description="where alarms are mailed to; empty = they are only logged")


class NoticeSettings(BaseModel):
    """How many households may be sent to one office's desk on a day, Monday to Sunday; holidays count as closed.

    A guess to be set by whoever knows the office: if one family in ten calls, 300 are thirty calls a day.
    """

    desk_pace: list[int] = Field(default=[300, 300, 300, 300, 300, 0, 0], min_length=7, max_length=7)
    desk_pace_in: dict[str, Annotated[list[int], Field(min_length=7, max_length=7)]] = Field(
        default_factory=dict, description="by area (a municipality's or a prefecture's code), where it is another"
    )


class OutboundSettings(BaseModel):
    """Private addresses that webhooks may reach all the same, as `network:port` (local stand-ins only)."""

    allowed_private: list[str] = Field(default_factory=list)


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(env_prefix="TODOKE_", env_nested_delimiter="__", extra="ignore")

    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    clock: ClockSettings = Field(default_factory=ClockSettings)
    sealing: SealingSettings = Field(default_factory=SealingSettings)
    email: EmailSettings = Field(default_factory=EmailSettings)
    line: LineSettings = Field(default_factory=LineSettings)
    delivery: DeliverySettings = Field(default_factory=DeliverySettings)
    campaigns: CampaignSettings = Field(default_factory=CampaignSettings)
    operator: OperatorSettings = Field(default_factory=OperatorSettings)
    notices: NoticeSettings = Field(default_factory=NoticeSettings)
    outbound: OutboundSettings = Field(default_factory=OutboundSettings)
    registry_directory: Path = PROJECT_DIRECTORY / "registry_data"
    template_directory: Path = PROJECT_DIRECTORY / "templates"
    metrics_token: SecretStr = Field(default=SecretStr(""), description="who may read /metrics; empty = nobody")
    public_url: str = "http://127.0.0.1:8000"
    demo: bool = Field(default=False, description="shows the demo date and the sign-in shortcuts of the demo")
    secure_cookies: bool = Field(default=True, description="off only where the demo is served without TLS")


@lru_cache
def settings() -> Settings:
    """Return the settings of this process, read once."""
    return Settings()
