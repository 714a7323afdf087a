"""The errors that people can meet. Each text says what was found, what was expected and what to do.

    TodokeError
    ├── InvalidInput      a value, file or form is wrong (web: 422)
    ├── NotPermitted      the actor may not do this (web: 403)
    ├── NotFound          there is no such thing, or not for this actor (web: 404)
    ├── Conflict          somebody else was faster, or it was done already (web: 409)
    └── Misconfigured     the installation is wrong; nobody may be served (the process stops)

`app.web` maps them to a page or to problem+json in one place; the command line prints them and exits 2.
"""


class TodokeError(Exception):
    """Base of all errors with a text that may be shown to a person."""

    slug = "error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidInput(TodokeError):
    """A value, file or form is wrong."""

    slug = "invalid-input"


class NotPermitted(TodokeError):
    """The actor may not do this."""

    slug = "not-permitted"


class NotFound(TodokeError):
    """There is no such thing, or not for this actor; the two are not told apart on purpose."""

    slug = "not-found"


class Conflict(TodokeError):
    """Somebody else changed it first, or it has been done already."""

    slug = "conflict"


class Misconfigured(TodokeError):
    """The installation is wrong in a way that makes serving anyone unsafe."""

    slug = "misconfigured"
