"""What a form was refused for, said at its field instead of on a page of its own.

    made = await attempted(sign_in.with_password(...))
    if isinstance(made, Refused):
        return await site.page(..., status=made.status, problems=made.problems)

Only what somebody can mend in the form is caught. Who may not, what is not there, and a database that is away
are pages of their own (`refusals.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeVar

from fairlead.control.people.types import PasswordUnfit, SignInRefused
from fairlead.core.errors import (
    Conflict,
    FairleadError,
    NotAuthenticated,
    RateLimited,
    RequestInvalid,
)
from fairlead.web.auth.exchange import EXPECTED, refusal_of

__all__ = ["NO_PROBLEMS", "WHOLE", "Refused", "attempted", "refused"]

WHOLE: Final = ""  # the problem of a form as a whole
NO_PROBLEMS: Final[Mapping[str, str]] = MappingProxyType({})

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Refused:
    """problems: messages by the name of the field; `WHOLE` for the form."""

    problems: Mapping[str, str]
    status: int = 422

    def renamed(self, names: Mapping[str, str]) -> Refused:
        """With the form's names for the service's."""
        return Refused(
            {names.get(name, name): said for name, said in self.problems.items()}, self.status
        )


def refused(message: str, field: str = WHOLE) -> Refused:
    return Refused({field: message})


async def attempted(doing: Awaitable[_Answer]) -> _Answer | Refused:
    """What it returns, or what was wrong with the form. Raises what a form cannot mend."""
    try:
        return await doing
    except (PasswordUnfit, SignInRefused) as error:
        field = "password" if isinstance(error, PasswordUnfit) else WHOLE
        return Refused({field: refusal_of(error).message})
    except EXPECTED as error:
        return _mendable(refusal_of(error))
    except FairleadError as error:
        return _mendable(error)


def _mendable(error: FairleadError) -> Refused:
    match error:
        case RequestInvalid():
            return Refused({(error.param or WHOLE).partition("[")[0]: error.message})
        case RateLimited():
            return Refused({WHOLE: error.message}, 429)
        case Conflict() | NotAuthenticated():
            return Refused({WHOLE: error.message})
        case _:
            raise error
