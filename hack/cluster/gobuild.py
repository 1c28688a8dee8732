"""Kubernetes' own programs, compiled from Go modules where no node image can be pulled.

Each program is built from a wrapper module: the upstream go.mod under another name, requiring
upstream itself. ``replace`` directives that point into upstream's own tree (``=> ./staging/…``,
``=> ../api``) are no use outside it, so they become the published versions of the same modules.
"""

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.cluster import paths, versions
from hack.cluster.run import Missing, capture, logged, step

_LOCAL_REPLACE: Final = re.compile(r"^(\s*(?:replace\s+)?)(\S+) => \.\.?/\S*$", re.MULTILINE)


@dataclass(frozen=True)
class Program:
    """One binary: where it comes from and, for the progress line, about how long it takes."""

    name: str
    module: str
    version: str
    package: str
    replaced_with: str
    minutes: float
    tags: str = ""

    @property
    def binary(self) -> Path:
        """Where the binary lies once built."""
        return paths.BINARIES / f"{self.name}-{self.version}" / self.name

    @property
    def linker_flags(self) -> str:
        """Small binaries that know their version."""
        flags = ["-s", "-w"]
        if self.module == "k8s.io/kubernetes":
            # Without these the API server calls itself v0.0.0 and kubeadm refuses it.
            for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
                flags += ["-X", f"{package}.gitVersion={self.version}"]
                flags += ["-X", f"{package}.gitMajor=1"]
                flags += ["-X", f"{package}.gitMinor={versions.kubernetes_minor()}"]
        if self.name == "helm":
            # The Kubernetes that `helm template` takes a chart to be for, without a cluster.
            flags += ["-X", f"{self.module}/internal/version.version={self.version}"]
            for part, number in (("Major", "1"), ("Minor", versions.kubernetes_minor())):
                for package in ("pkg/lint/rules", "pkg/chartutil"):
                    flags += ["-X", f"{self.module}/{package}.k8sVersion{part}={number}"]
        return " ".join(flags)


def _kubernetes(name: str, minutes: float) -> Program:
    return Program(
        name,
        "k8s.io/kubernetes",
        versions.KUBERNETES,
        f"k8s.io/kubernetes/cmd/{name}",
        versions.staging_version(),
        minutes,
    )


def _single(name: str, module: str, version: str, minutes: float) -> Program:
    return Program(name, module, version, module, version, minutes)


def _command(name: str, module: str, version: str, minutes: float, tags: str = "") -> Program:
    return Program(name, module, version, f"{module}/cmd/{name}", version, minutes, tags)


def _prometheus(name: str, minutes: float) -> Program:
    """Without the discovery of targets in clouds, which is most of what there is to compile."""
    module = "github.com/prometheus/prometheus"
    return _command(name, module, versions.PROMETHEUS, minutes, tags="remove_all_sd")


KIND: Final = _single("kind", "sigs.k8s.io/kind", versions.KIND, 0.5)
KUBECTL: Final = _kubernetes("kubectl", 0.5)
HELM: Final = _command("helm", "helm.sh/helm/v3", versions.HELM, 3)
KUBECONFORM: Final = _command(
    "kubeconform", "github.com/yannh/kubeconform", versions.KUBECONFORM, 0.5
)
# What `make release` stamps images with the commit's time with.
REGCTL: Final = _command("regctl", "github.com/regclient/regclient", versions.REGCLIENT, 1)
# In this order because the API server's compilation fills the cache for the others.
NODE_PROGRAMS: Final = (
    _kubernetes("kube-apiserver", 5),
    _kubernetes("kube-controller-manager", 1),
    _kubernetes("kube-scheduler", 0.5),
    _kubernetes("kube-proxy", 0.5),
    _kubernetes("kubelet", 1),
    _kubernetes("kubeadm", 0.5),
    KUBECTL,
    _single("etcd", "go.etcd.io/etcd/server/v3", versions.ETCD, 1),
    _single("coredns", "github.com/coredns/coredns", versions.COREDNS, 2),
)
# What tests read the operator's metrics, rules and dashboard with.
PROMTOOL: Final = _prometheus("promtool", 3)
PROMETHEUS: Final = _prometheus("prometheus", 1)
# What plays an autoscaled cluster: nodes without machines, and who makes and removes them.
KWOK: Final = Program(
    "kwok", "sigs.k8s.io/kwok", versions.KWOK, "sigs.k8s.io/kwok/cmd/kwok", versions.KWOK, 2
)
KARPENTER: Final = Program(
    "karpenter",
    "sigs.k8s.io/karpenter",
    versions.KARPENTER,
    "sigs.k8s.io/karpenter/kwok",
    versions.KARPENTER,
    2,
)

# By name, all that tests run as processes of their own.
TOOLS: Final = {
    p.name: p for p in (*NODE_PROGRAMS, HELM, KUBECONFORM, KWOK, KARPENTER, PROMTOOL, PROMETHEUS)
}


def build(programs: Iterable[Program]) -> None:
    """Compile those of the programs that are not in the cache, one after the other."""
    missing = [program for program in programs if not program.binary.exists()]
    if missing:
        require_go()
    for number, program in enumerate(missing, start=1):
        about = f"{program.minutes:g} min" if program.minutes >= 1 else "half a minute"
        with step(
            f"compiling {program.name} {program.version} ({number} of {len(missing)}), "
            f"about {about} the first time"
        ):
            _compile(program)


def require_go() -> None:
    """Complain in one line where there is no Go tool."""
    if shutil.which("go") is None:
        raise Missing(
            f"kind's node image {versions.OFFICIAL_NODE_IMAGE} cannot be pulled, "
            "and there is no `go` to build one with",
            "install Go 1.24 or newer or let the Docker engine reach its registry",
        )


def module_folder(module: str, version: str) -> Path:
    """The folder of a module in Go's module cache, downloaded when it is not there."""
    answer = json.loads(
        capture(["go", "mod", "download", "-json", f"{module}@{version}"], cwd=_neutral_folder())
    )
    return Path(str(answer["Dir"]))


def _neutral_folder() -> Path:
    # A go.mod or go.work of the folder that `up` was called from must not have a say.
    paths.GO_WRAPPERS.mkdir(parents=True, exist_ok=True)
    return paths.GO_WRAPPERS


def _compile(program: Program) -> None:
    wrapper = _wrapper_module(program)
    program.binary.parent.mkdir(parents=True, exist_ok=True)
    unfinished = program.binary.with_suffix(".part")
    logged(
        f"go-build-{program.name}",
        [
            "go",
            "build",
            "-mod=mod",
            "-trimpath",
            "-buildvcs=false",
            "-tags",
            program.tags,
            "-ldflags",
            program.linker_flags,
            "-o",
            str(unfinished),
            program.package,
        ],
        cwd=wrapper,
        env=go_environment(),
    )
    unfinished.replace(program.binary)


def build_pause() -> Path:
    """The program of the pause image: what it does takes a few lines of Go."""
    binary = paths.BINARIES / f"pause-{versions.PAUSE[-1]}" / "pause"
    source = paths.RECIPES / "node" / "pause" / "main.go"
    command = ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(binary), str(source)]
    logged("go-build-pause", command, cwd=_neutral_folder(), env=go_environment())
    return binary


def go_environment() -> dict[str, str]:
    """Static binaries, so that images can be FROM scratch; no say for a workspace or its flags."""
    return {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GO111MODULE": "on"}


def _wrapper_module(program: Program) -> Path:
    folder = paths.GO_WRAPPERS / f"{program.module.replace('/', '_')}@{program.version}"
    go_mod = folder / "go.mod"
    if not go_mod.exists():
        folder.mkdir(parents=True, exist_ok=True)
        upstream = module_folder(program.module, program.version) / "go.mod"
        text = wrapper_go_mod(upstream.read_text(encoding="utf-8"), program)
        unfinished = folder / "go.mod.part"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(go_mod)
    return folder


def wrapper_go_mod(upstream: str, program: Program) -> str:
    """The wrapper's go.mod, from upstream's."""
    text = re.sub(r"^module .*$", "module wrapper", upstream, count=1, flags=re.MULTILINE)

    def publish(found: re.Match[str]) -> str:
        indent, module = found.groups()
        # etcd replaces what it forbids with a folder that does not exist; nothing requires it.
        if not re.search(rf"^\s+{re.escape(module)} v", upstream, flags=re.MULTILINE):
            return ""
        return f"{indent}{module} => {module} {program.replaced_with}"

    text = _LOCAL_REPLACE.sub(publish, text)
    return f"{text}\nrequire {program.module} {program.version}\n"
