"""`ParamsModel`, the base class of every section of params.yaml, and shared bounds."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(ge=1)]


class ParamsModel(BaseModel):
    """A section of params.yaml: frozen; unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
