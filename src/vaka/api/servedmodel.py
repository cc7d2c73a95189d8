"""Which model an InferenceService serves: a stored one, or the result of a TrainingJob."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from vaka.api.types import Quantity, Resource, Rule, SecretRef, said

DIGEST = Rule("self.matches('^sha256:[0-9a-f]{64}$')", "must be sha256: and 64 hexadecimal digits")
MODEL_URI = Rule(
    r"self.matches('^(pvc://[a-z0-9.-]+(/.*)?|s3://[^/]+/.+|https://[^/]+/.+|file:///.+)$')",
    "must be pvc://CLAIM/PATH, s3://BUCKET/PREFIX, https://HOST/FILE.onnx or file:///PATH",
)
_NAMED = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}


class LabelSelector(Resource, frozen=True):
    match_labels: Annotated[dict[str, str], said("Labels that it must have.", minProperties=1)]


class TrainingJobRef(Resource, frozen=True):
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.name) != has(self.selector)", "give either name or selector"),
    )
    name: Annotated[str, said("Name of a TrainingJob in the same namespace.", minLength=1)] | None = None
    selector: (
        Annotated[LabelSelector, said("The newest TrainingJob with a model and these labels.")] | None
    ) = None
    follow: Annotated[
        bool,
        said("Serve each new result; false: the first one, until this reference changes."),
    ] = False

    @property
    def meant(self) -> str:
        """Which jobs it means, in words that are the same only for the same jobs."""
        if self.selector is None:
            return f"TrainingJob {self.name}"
        labels = sorted(self.selector.match_labels.items())
        return f"TrainingJobs with {','.join(f'{name}={value}' for name, value in labels)}"


class ServedModel(Resource, frozen=True):
    """A model and where it comes from."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.trainingJobRef) != has(self.storageUri)", "give either trainingJobRef or storageUri"),
        Rule(
            "!has(self.digest) || has(self.storageUri)",
            "digest goes with storageUri: a trainingJobRef brings its own",
        ),
    )
    training_job_ref: (
        Annotated[TrainingJobRef, said("The job whose model is served, once it is there.")] | None
    ) = None
    storage_uri: (
        Annotated[str, said("Where the model folder or ONNX file is.", MODEL_URI, maxLength=1024)] | None
    ) = None
    digest: (
        Annotated[str, said("Digest that the model must have (sha256:...).", DIGEST, maxLength=71)] | None
    ) = None


class ModelVersion(ServedModel, frozen=True, kw_only=True):
    rules: ClassVar[tuple[Rule, ...]] = (
        *ServedModel.rules,
        Rule("self.name != '1'", "versions: 1 is the version of the model itself: give another name"),
    )
    name: Annotated[
        str,
        said("Name of the version: /v2/models/NAME/versions/VERSION.", maxLength=63),
        Meta(pattern="^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"),
    ]


class ModelCache(Resource, frozen=True):
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.size) != has(self.claimName)",
            "give either size, for a claim of its own, or claimName, of one that there is",
        ),
        Rule(
            "!has(self.storageClassName) || has(self.size)", "storageClassName goes with size, not claimName"
        ),
    )
    size: Annotated[Quantity, said("Size of a claim that is made for it.")] | None = None
    claim_name: (
        Annotated[str, said("A claim of the namespace, which several services can share.", minLength=1)]
        | None
    ) = None
    storage_class_name: Annotated[str, said("Storage class of the claim that is made.")] | None = None
    access_mode: Annotated[
        Literal["ReadWriteMany", "ReadWriteOnce"],
        said("Of the claim that is made; with ReadWriteOnce all pods have to be on one node."),
    ] = "ReadWriteMany"


class PredictorModel(ServedModel, frozen=True):
    rules: ClassVar[tuple[Rule, ...]] = (
        *ServedModel.rules,
        Rule(
            "!has(self.cache) || has(self.digest) || has(self.trainingJobRef)",
            "cache needs digest: a model is found there by its digest",
        ),
    )
    secret_ref: (
        Annotated[SecretRef, said("Secret whose keys (AWS_ACCESS_KEY_ID, ...) give access to the storage.")]
        | None
    ) = None
    precision: Annotated[
        Literal["fp32", "int8"],
        said("int8: the variant that is faster and less exact; its manifest says by how much."),
    ] = "fp32"
    engine: Annotated[
        Literal["auto", "onnxruntime"],
        said("auto: another engine than ONNX Runtime, where a contest finds that it gives the same sooner."),
    ] = "auto"
    cache: (
        Annotated[ModelCache, said("A volume where models are kept, so that not every pod downloads them.")]
        | None
    ) = None
    versions: Annotated[
        list[ModelVersion],
        said("Further versions, served beside the model itself, which is version 1.", **_NAMED, maxItems=16),
    ] = []


class ResolvedModel(Resource, frozen=True):
    """What a trainingJobRef came to; a pinned one stays, whatever becomes of its job."""

    name: Annotated[str, said("Which model of the spec: predictor, predictor/VERSION, or canary likewise.")]
    training_job: Annotated[str, said("The job that published it.")]
    uri: str
    digest: str
    pinned: Annotated[bool, said("It is served until its reference changes; false: new results replace it.")]
    ref: Annotated[str, said("The reference that it stands for.")]
    secret_name: Annotated[str, said("Secret that gives access to it.")] | None = None


RESOLVED = Meta(extra_json_schema=_NAMED)
