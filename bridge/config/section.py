"""What every section of the configuration is made of."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from bridge.config import rules


class Section(BaseModel):
    """A frozen table of known keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        str_strip_whitespace=True,
        hide_input_in_errors=True,
        validate_default=True,
    )


Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Secret = Annotated[SecretStr, BeforeValidator(rules.stripped_secret)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(rules.stripped_secret_or_none)]
Names = Annotated[tuple[str, ...], BeforeValidator(rules.listed)]
OptionalMoment = Annotated[datetime | None, BeforeValidator(rules.moment), AfterValidator(rules.in_utc)]
"""A date (midnight, UTC) or a time with its offset."""
