"""kubeconform, and the schemas that it holds manifests against.

They are made of what Kubernetes and the Prometheus operator publish in their Go modules, and of our
own definitions. A field that is in none of them is a fault.
"""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from hack.cluster import gobuild, paths, versions

_PROMETHEUS_OPERATOR: Final = "github.com/prometheus-operator/prometheus-operator"
_PROMETHEUS_DEFINITIONS: Final = "example/prometheus-operator-crd"
_WANTED: Final = ("servicemonitors", "prometheusrules")
_FOLDER: Final = paths.CACHE / "schemas"
# As kubeconform fills it in: HyperbandStudy-hyperband.dev-v1alpha1.json, in small letters.
_FILE: Final = "{{.ResourceKind}}{{.KindSuffix}}.json"
# What is a string in Kubernetes' own description, and may be a number in YAML.
_NUMBERS_TOO: Final = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
}

Schema = dict[str, Any]


def check(manifests: str) -> str:
    """What kubeconform finds wrong with a stream of manifests, "" if nothing."""
    words = [
        str(program()),
        "-strict",
        "-output=text",
        f"-schema-location={schemas()}/{_FILE}",
        "-",
    ]
    done = subprocess.run(words, input=manifests, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip()


def program() -> Path:
    """kubeconform, built now where it is not yet."""
    gobuild.build([gobuild.KUBECONFORM])
    return gobuild.KUBECONFORM.binary


def schemas() -> Path:
    """The folder of schemas, written where something of it has changed."""
    own = sorted((paths.REPOSITORY / "crds").glob("*.yaml"))
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for each in own:
        digest.update(each.read_bytes())
    named = f"{versions.KUBERNETES} {versions.PROMETHEUS_OPERATOR}"
    key = hashlib.sha256(f"{named} {digest.hexdigest()}".encode()).hexdigest()[:16]
    folder = _FOLDER / key
    if not folder.is_dir():
        shutil.rmtree(_FOLDER, ignore_errors=True)  # of other versions
        unfinished = folder.with_suffix(".part")
        unfinished.mkdir(parents=True)
        theirs = gobuild.module_folder(_PROMETHEUS_OPERATOR, versions.PROMETHEUS_OPERATOR)
        found = (theirs / _PROMETHEUS_DEFINITIONS).glob("*.yaml")
        wanted = [path for path in found if path.stem.rpartition("_")[2] in _WANTED]
        for name, schema in (*_of_kubernetes(), *_of_definitions([*own, *wanted])):
            (unfinished / f"{name}.json").write_text(json.dumps(schema), encoding="utf-8")
        unfinished.rename(folder)
    return folder


def _of_kubernetes() -> Iterator[tuple[str, Schema]]:
    """A file of all types, and one for each kind of object that points into it."""
    module = gobuild.module_folder("k8s.io/kubernetes", versions.KUBERNETES)
    types = json.loads((module / "api/openapi-spec/swagger.json").read_text("utf-8"))["definitions"]
    yield "types", {"definitions": {name: _strict(name, body) for name, body in types.items()}}
    for name, body in types.items():
        for kind in body.get("x-kubernetes-group-version-kind", []):
            reference = {"$ref": f"types.json#/definitions/{name}"}
            yield _name(kind["group"], kind["version"], kind["kind"]), reference


def _of_definitions(files: list[Path]) -> Iterator[tuple[str, Schema]]:
    for path in files:
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
        for version in spec["versions"]:
            schema = _strict("", version["schema"]["openAPIV3Schema"])
            schema["properties"] |= {key: {"type": "string"} for key in ("apiVersion", "kind")}
            schema["properties"]["metadata"] = {
                "$ref": "types.json#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
            }
            yield _name(spec["group"], version["name"], spec["names"]["kind"]), schema


def _name(group: str, version: str, kind: str) -> str:
    """As kubeconform asks for it: the first word of the group alone."""
    return "-".join(filter(None, (kind, group.partition(".")[0], version))).lower()


def _strict(name: str, schema: Schema) -> Schema:
    """As JSON Schema of what is written in YAML, where no unknown field passes."""
    if name in _NUMBERS_TOO or schema.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "number"]}
    result = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    result.pop("format", None)  # of numbers and bytes, as Kubernetes names them
    for key in ("items", "additionalProperties", "not"):
        if isinstance(result.get(key), dict):
            result[key] = _strict("", result[key])
    for key in ("anyOf", "allOf", "oneOf"):
        if key in result:
            result[key] = [{**each} for each in result[key]]
    if "properties" in result:
        result["properties"] = {
            name: _strict("", each) for name, each in result["properties"].items()
        }
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            result.setdefault("additionalProperties", False)
    if result.pop("nullable", False) and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    if "$ref" in result:
        target = str(result["$ref"]).rpartition("/")[2]
        return {"$ref": f"types.json#/definitions/{target}"}
    return result
