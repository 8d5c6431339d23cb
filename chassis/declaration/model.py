"""What a model says about itself: each field once, with its default, its check and its documentation."""

from __future__ import annotations

from chassis.declaration.columns import Column, Columns
from chassis.declaration.declared import Declared, field
from chassis.declaration.front_ends import SERVERS
from chassis.declaration.kinds import Count, HeaderNames, Kind, MetadataError, Name, Names, Number, Version
from chassis.declaration.model_io import ModelInput, ModelOutput, Parts
from chassis.declaration.quantity import Duration, Size


class ModelMetadata(Declared):
    """What a model says about itself: what OMI's StatusResponse has, and the settings of its server.

    `FIELDS` has what each field is.
    """

    name: str = field(
        Name(), doc="the target's name, and the model's name in URLs.", attribute="chassis_model.name", served="name"
    )
    model_name: str = field(
        Kind(),
        default="",
        doc="for people; defaults to the target's name.",
        attribute="chassis_model.model_name",
        status="model_info.model_name",
    )
    model_version: str = field(
        Version(),
        default="0.0.1",
        doc="the model's version.",
        attribute="chassis_model.version",
        served="version",
        status="model_info.model_version",
    )
    author: str = field(
        Kind(), default="", doc="of the model.", attribute="chassis_model.author", status="model_info.model_author"
    )
    source: str = field(
        Kind(),
        default="",
        doc="where the model comes from, such as a URL.",
        attribute="chassis_model.source",
        status="model_info.source",
    )
    model_type: str = field(
        Kind(),
        default="",
        doc='what kind of model it is, such as `"image classification"`.',
        attribute="chassis_model.model_type",
        status="model_info.model_type",
    )
    summary: str = field(
        Kind(),
        default="",
        doc="one sentence about the model.",
        attribute="chassis_model.summary",
        status="description.summary",
    )
    details: str = field(
        Kind(), default="", doc="more about it.", attribute="chassis_model.details", status="description.details"
    )
    technical: str = field(
        Kind(),
        default="",
        doc="how it works, for engineers.",
        attribute="chassis_model.technical",
        status="description.technical",
    )
    performance: str = field(
        Kind(),
        default="",
        doc="how good it is, and on which data.",
        attribute="chassis_model.performance",
        status="description.performance",
    )
    batch_size: int = field(
        Count(),
        default=0,
        doc="the most inputs of one call; 0 for a function of one input.",
        attribute="chassis_model.batch_size",
        served="batch_size",
        status="features.batch_size",
    )
    inputs: tuple[ModelInput, ...] = field(
        Parts(ModelInput),
        default=(ModelInput("input"),),
        doc="input name to media type.",
        attribute="chassis_model.inputs",
        served="inputs",
        status="inputs",
    )
    outputs: tuple[ModelOutput, ...] = field(
        Parts(ModelOutput),
        default=(ModelOutput("results.json", "application/json"),),
        doc="output name to media type.",
        attribute="chassis_model.outputs",
        served="outputs",
        status="outputs",
    )
    columns: tuple[Column, ...] = field(
        Columns(),
        default=(),
        doc="of a function of rows, column name to type: `FP64`, or `FP64?` if a value may be missing; "
        "docs/models.md has the types.",
        attribute="chassis_model.columns",
        served="columns",
    )
    required_ram: str = field(
        Size(),
        default="512M",
        doc='for schedulers, such as `"512M"`.',
        attribute="chassis_model.required_ram",
        status="resources.required_ram",
    )
    num_cpus: float = field(
        Number(),
        default=1,
        doc="for schedulers; `0.5` is half of one. If the container has no CPU quota, libraries start as many threads.",
        attribute="chassis_model.num_cpus",
        served="num_cpus",
        status="resources.num_cpus",
    )
    num_gpus: int = field(
        Count(), default=0, doc="for schedulers.", attribute="chassis_model.num_gpus", status="resources.num_gpus"
    )
    status_timeout: str = field(
        Duration(),
        default="60s",
        doc='for callers, such as `"60s"`.',
        attribute="chassis_model.status_timeout",
        status="timeout.status",
    )
    run_timeout: str = field(
        Duration(),
        default="60s",
        doc='the longest that one call of the function may take, such as `"60s"`.',
        attribute="chassis_model.run_timeout",
        served="run_timeout",
        status="timeout.run",
    )
    load_timeout: str = field(
        Duration(),
        default="300s",
        doc="after which a server whose model is not loaded ends.",
        attribute="chassis_model.load_timeout",
        served="load_timeout",
    )
    drain_timeout: str = field(
        Duration(),
        default="7s",
        doc="what a server that is told to stop has for what it accepted.",
        attribute="chassis_model.drain_timeout",
        served="drain_timeout",
    )
    max_wait_ms: float = field(
        Number(),
        default=0,
        doc="how long an input may wait, while the model is idle, for others to share its call; milliseconds.",
        attribute="chassis_model.max_wait_ms",
        served="max_wait_ms",
    )
    queue_size: int = field(
        Count(1),
        default=1024,
        doc="how many inputs may wait for the model; more are refused at once.",
        attribute="chassis_model.queue_size",
        served="queue_size",
    )
    request_headers: tuple[str, ...] = field(
        HeaderNames(),
        default=(),
        doc="headers of a request, over gRPC its metadata, that a function which takes `request` is told of.",
        attribute="chassis_model.request_headers",
        served="request_headers",
    )
    servers: tuple[str, ...] = field(
        Names(SERVERS),
        default=SERVERS,
        doc="the front ends that are started; of one model, images may start others.",
        attribute="chassis_image.servers",
        served="servers",
    )

    def check(self) -> None:
        """Checks inputs against outputs."""
        outputs = {part.name: part for part in self.outputs}
        if "error" in outputs:
            raise MetadataError('outputs: "error" is the name under which OMI reports a failed item, take another')
        for part in self.inputs:
            other = outputs.get(part.name)
            for key in ("max_size", "tensor", "description"):
                if other is not None and getattr(part, key) != getattr(other, key):
                    raise MetadataError(
                        f"{part.name!r} is an input and an output, of which {key} is {getattr(part, key)!r} and "
                        f"{getattr(other, key)!r}: give them one, or different names"
                    )
        for part in self.inputs:
            if any(column.name == part.name for column in self.columns):
                raise MetadataError(
                    f"columns: {part.name!r} is the name of the input too: give that another in `inputs`"
                )
