"""How the pods of a predictor come by their models: the server's words, its volumes and its Secret."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from vaka.api.contract import CACHE_MOUNT
from vaka.api.servedmodel import ModelCache
from vaka.api.types import amount
from vaka_operator.manifests import storage
from vaka_operator.manifests.claim import cache_claim, cache_name
from vaka_operator.manifests.meta import JSON, Owner

FIELDS = {"predictor": "spec.predictor", "canary": "spec.canary.predictor"}
"""Where the spec has each part that serves."""


class Model(msgspec.Struct, kw_only=True, frozen=True):
    """The model that is to be served."""

    uri: str
    digest: str | None = None
    secret: str | None = None


class Supply(msgspec.Struct, kw_only=True, frozen=True):
    """The model that is to be served, further versions by name, and where downloads are kept."""

    model: Model
    versions: Mapping[str, Model] = MappingProxyType({})
    precision: str = "fp32"
    engine: str = "auto"
    cache: ModelCache | None = None

    @property
    def caches(self) -> bool:
        """Whether there is anything to be kept: what is on a claim is not downloaded."""
        every = (self.model, *self.versions.values())
        return self.cache is not None and not all(storage.is_claim(model.uri) for model in every)

    def claims(self, owner: Owner) -> list[JSON]:
        """The claims that are to be made."""
        made = cache_claim(owner, self.cache) if self.cache and self.caches else None
        return [made] if made else []

    def mounts(self, owner: Owner) -> list[storage.Mount]:
        """Those of the model and of each version, and then of the cache."""
        uris = {name: version.uri for name, version in self.versions.items()}
        places = storage.models(self.model.uri, uris, field=f"{FIELDS[owner.component]}.model")
        if self.cache and self.caches:
            places.append(storage.cache(self.cache.claim_name or cache_name(owner)))
        return places

    def arguments(self, owner: Owner) -> list[str]:
        """What tells the server its models, with URIs as its container sees them."""
        uri, *others = [mount.uri for mount in self.mounts(owner)]
        digest = ["--digest", self.model.digest] if self.model.digest else []
        words = ["--model", uri, *digest]
        words += ["--precision", self.precision] if self.precision != "fp32" else []
        words += ["--engine", self.engine] if self.engine != "auto" else []
        for (name, version), other in zip(self.versions.items(), others, strict=False):
            words += ["--version", f"{name}={other}" + (f"@{version.digest}" if version.digest else "")]
        if self.cache and self.caches:
            words += ["--model-cache", CACHE_MOUNT]
            words += ["--model-cache-size", str(amount(self.cache.size))] if self.cache.size else []
        return words

    def secrets(self, owner: Owner) -> list[str]:
        """One Secret or none, for the keys of a second one would have the same names."""
        named = {"the model": self.model} | {f"version {name}": v for name, v in self.versions.items()}
        needed = {model.secret: what for what, model in named.items() if model.secret}
        if len(needed) > 1:
            field = f"{FIELDS[owner.component]}.model"
            told = " and ".join(f"{what} needs Secret {secret}" for secret, what in needed.items())
            raise ValueError(
                f"{field}.versions: {told}: give one Secret that reaches all in {field}.secretRef"
            )
        return list(needed)
