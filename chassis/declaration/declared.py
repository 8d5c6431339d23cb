"""Classes whose fields say all about themselves: type, default, check, documentation, and where each travels.

As `dataclasses` would make them, frozen; that module costs a starting server 6 ms, this one less than one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    # Of mypy's own stubs: Python 3.10 has neither in `typing`.
    from typing_extensions import Self, dataclass_transform  # noqa: UP035
else:

    def dataclass_transform(**_: object) -> object:
        """For type checkers alone; Python 3.10 has none."""
        return lambda made: made


from chassis.declaration.kinds import Kind, MetadataError

REQUIRED: Any = object()
"""The default of a field that has none."""


class Field(NamedTuple):
    """A declared field.

    Attributes:
      name: in Python and in JSON.
      kind: what its values are.
      default: `REQUIRED` if there is none.
      doc: what it is, for people; a rule's documentation repeats it.
      attribute: the rule and its attribute that set it, such as `chassis_model.version`; empty if none does.
      served: its key in model.json; empty if the server has no use for it.
      status: its place in OMI's StatusResponse, such as `model_info.model_author`; empty if it has none.
    """

    name: str
    kind: Kind
    default: Any
    doc: str
    attribute: str
    served: str
    status: str


def field(
    kind: Kind, *, default: Any = REQUIRED, doc: str, attribute: str = "", served: str = "", status: str = ""
) -> Any:
    """Declares a field; see `Field`. What a field has no default for comes first."""
    return Field("", kind, default, doc, attribute, served, status)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Declared:
    """The base of a declaration.

    Attributes:
      FIELDS: of the class, in order; those of its base first.
    """

    FIELDS: ClassVar[tuple[Field, ...]] = ()

    def __init_subclass__(cls) -> None:
        own = [value._replace(name=name) for name, value in vars(cls).copy().items() if isinstance(value, Field)]
        for one in own:
            delattr(cls, one.name)
        cls.FIELDS = (*cls.FIELDS, *own)

    def __init__(self, *values: object, **named: object) -> None:
        """Takes the fields in order or by name.

        Raises:
          MetadataError: a value that cannot be understood.
          TypeError: a field that does not exist, is missing, or is given twice.
        """
        if len(values) > len(self.FIELDS):
            raise TypeError(f"{type(self).__name__} takes {len(self.FIELDS)} values, {len(values)} were given")
        given = dict(zip((one.name for one in self.FIELDS), values, strict=False))
        for name, value in named.items():
            if name in given:
                raise TypeError(f"{type(self).__name__}: {name} is given twice")
            given[name] = value
        for one in self.FIELDS:
            value = given.pop(one.name, one.default)
            if value is REQUIRED:
                raise TypeError(f"{type(self).__name__}: {one.name} is missing")
            object.__setattr__(self, one.name, one.kind.accept(one.name, value))
        if given:
            raise TypeError(f"{type(self).__name__} has no field {min(given)!r}")
        self.check()

    def check(self) -> None:
        """Checks fields against each other.

        Raises:
          MetadataError: they contradict each other.
        """

    def replace(self, **changes: object) -> Self:
        """A copy with other values.

        Raises:
          MetadataError: a value that cannot be understood.
        """
        return type(self)(**{one.name: getattr(self, one.name) for one in self.FIELDS} | changes)

    def document(self) -> dict[str, object]:
        """The declaration as JSON has it, for `parse`."""
        return {one.name: one.kind.document(getattr(self, one.name)) for one in self.FIELDS}

    def texts(self) -> list[str]:
        """Every text that it holds, for one who bounds them all."""
        found = []
        for one in self.FIELDS:
            value = getattr(self, one.name)
            for part in value if isinstance(value, tuple) else (value,):
                found += part.texts() if isinstance(part, Declared) else [part] if isinstance(part, str) else []
        return found

    @classmethod
    def parse(cls, document: object) -> Self:
        """The declaration that a JSON object describes.

        Raises:
          MetadataError: it is not an object, has an unknown key, lacks one, or has a value that cannot be understood.
        """
        if not isinstance(document, dict):
            raise MetadataError("expected an object")
        names = {one.name for one in cls.FIELDS}
        for key in document:
            if key not in names:
                raise MetadataError(f"unknown key {key!r}, expected one of {', '.join(one.name for one in cls.FIELDS)}")
        for one in cls.FIELDS:
            if one.default is REQUIRED and one.name not in document:
                raise MetadataError(f"{one.name} is missing")
        return cls(**document)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set: replace({name}=…) makes another")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(
            getattr(self, one.name) == getattr(other, one.name) for one in self.FIELDS
        )

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, one.name) for one in self.FIELDS))

    def __repr__(self) -> str:
        values = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in self.FIELDS)
        return f"{type(self).__name__}({values})"
