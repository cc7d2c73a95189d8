"""What a TrainingJob trains on."""

from typing import Annotated

from msgspec import Meta

from vaka.api.architectures import ALL_FORMATS, AUTO
from vaka.api.types import Opaque, Resource, Rule, SecretRef, said

DATASET_URI = Rule(
    r"self.matches('^(pkg://[a-z0-9-]+|pvc://[a-z0-9.-]+(/.*)?|s3://[^/]+(/.*)?|https://[^/]+/.+|file:///.+)$')",
    "must be pkg://NAME, pvc://CLAIM/PATH, s3://BUCKET/PREFIX, https://HOST/PATH or file:///PATH",
)


class DatasetSpec(Resource, frozen=True):
    storage_uri: Annotated[
        str,
        said(
            "Where the data is: pkg://NAME (packaged), pvc://CLAIM/PATH, s3://BUCKET/PREFIX, https:// or file:///.",
            DATASET_URI,
            maxLength=1024,
        ),
    ]
    format: Annotated[
        str,
        said(
            "How the data is laid out, as far as the architecture can read it; auto: whichever is found.",
            enum=[*ALL_FORMATS],
        ),
    ] = AUTO
    options: Annotated[
        Opaque,
        said("What the architecture must know of the data, such as names of columns; see docs/."),
    ] = {}
    validation_fraction: Annotated[
        float,
        Meta(ge=0.01, le=0.5, description="Part of the training data held out where no test split exists."),
    ] = 0.1
    seed: Annotated[int, Meta(ge=0, description="Seed of that split.")] = 0
    secret_ref: (
        Annotated[SecretRef, said("Secret whose keys (AWS_ACCESS_KEY_ID, ...) give access to the storage.")]
        | None
    ) = None
