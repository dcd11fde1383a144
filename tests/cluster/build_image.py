"""Builds the image without Docker: the Dockerfile's steps as they stand, in a Debian root, then what users do in a container of it.

    PYTHONPATH=tests/support python tests/cluster/build_image.py FOLDER [--build-arg NAME=VALUE …] [--from-step N]

It needs root, debootstrap and 20 GB at FOLDER, and takes a quarter of an hour. It is no test of the suite: `make image-test` runs it.

What it cannot show. The base is Debian 12 with Debian's Python 3.11, not the image that the Dockerfile names by its digest. There are no
layers, so nothing is said of caching. The root is read-only and /dev/shm is small as in a restricted pod, the user is not root, but the
kernel's namespaces are those of this machine except for mounts and processes: networks, cgroups and seccomp profiles of a container
runtime are not tried.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from deployment import ROOT as CHECKOUT
from deployment import dockerfile

# What the official image has and Debian's base has not: Python under the name `python`, pip that installs into the system's Python.
STAND_IN = """
apt-get update && apt-get install -y --no-install-recommends python3 python3-pip python3-dev ca-certificates
ln -sf python3 /usr/bin/python
rm -f /usr/lib/python3.11/EXTERNALLY-MANAGED
"""
PIP_SETTINGS = "/etc/pip.conf"
"""The build's secret `pip`: this machine's own."""
CERTIFICATES = "/certificates-of-the-build.crt"
"""Copy of this machine's authorities in the root, for package registries behind a proxy of a company's."""
PASSED_ON = re.compile(r"PIP_\w+")
"""Variables that say how to reach a package registry."""
SHM_MB = 64
DEBOOTSTRAP = "/usr/sbin/debootstrap"

AS_A_STRANGER = "env -u RUMIAI_MODELS -u RUMIAI_PROFILE -u RUMIAI_STORE -u RUMIAI_WEIGHTS_DIR"
"""Without the image's settings: the tests say what a run does by itself."""
TRIED = {
    "a program": ["python", "-c", "import rumiai_ray, os; print(rumiai_ray.__file__, os.getuid())"],
    "the check of the machine": ["doctor"],
    "a clip that it makes": ["demo", "--keep", "clip.mp4"],
    "a file": ["clip.mp4", "--models", "shots,sound"],
    "the unit tests": shlex.split(
        f"{AS_A_STRANGER} python -m pytest /src/tests -m unit -n 2 -q -p no:cacheprovider -c /src/pyproject.toml"
    ),
}
"""Arguments of a container, by what they try. The working directory of all is one volume."""


@dataclass
class Image:
    """A root directory in which a Dockerfile's instructions are carried out."""

    root: Path
    arguments: dict[str, str]
    """Of the build."""
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    user: str = "0"
    directory: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def carry_out(self, name: str, rest: str, *, run: bool = True) -> None:
        """One instruction; those that change files only where `run`.

        Raises:
            ValueError: the instruction is of a kind that the Dockerfile has not used until now.
        """
        if name in {"RUN", "COPY"}:
            if run:
                self._files_changed(name, rest)
        elif name != "FROM":
            self._noted(name, rest)

    def _files_changed(self, name: str, rest: str) -> None:
        if name == "COPY":
            self._copy(*self._filled(rest).split())
        else:
            self._run(re.sub(r"--mount=\S+\s+", "", rest))

    def _noted(self, name: str, rest: str) -> None:
        match name:
            case "ARG":
                key, _, default = rest.partition("=")
                self.arguments.setdefault(key, default)
            case "ENV":
                pairs = (word.partition("=") for word in shlex.split(self._filled(rest)))
                self.environment |= {key: value for key, _, value in pairs}
            case "WORKDIR":
                self.directory = self._filled(rest)
                self._inside(self.directory).mkdir(parents=True, exist_ok=True)
            case "USER":
                self.user = self._filled(rest)
            case "ENTRYPOINT":
                self.entrypoint = json.loads(rest)
            case "CMD":
                self.command = json.loads(rest)
            case _:
                raise ValueError(f"no instruction of this Dockerfile until now: {name}")

    def _filled(self, text: str) -> str:
        values = self.environment | self.arguments
        return re.sub(r"\$\{(\w+)\}", lambda found: values.get(found[1], ""), text)

    def _inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _copy(self, *words: str) -> None:
        *sources, target = words
        let_in = [line[1:] for line in (CHECKOUT / "cluster/Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")]
        for source in sources:
            if source not in let_in:
                raise ValueError(f"COPY {source}: Dockerfile.dockerignore does not let it in")
            to = self._inside(os.path.join(self.directory, target))  # noqa: PTH118 -- paths of the image
            if (CHECKOUT / source).is_dir():
                shutil.copytree(CHECKOUT / source, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(CHECKOUT / source, to / Path(source).name if target.endswith("/") else to)

    def _run(self, script: str) -> None:
        # A build's arguments are variables of its steps, as its environment is.
        variables = self.environment | self.arguments | {key: value for key, value in os.environ.items() if PASSED_ON.fullmatch(key)}
        variables["PIP_CERT"] = CERTIFICATES
        # Read-only: what a package's installation writes must not end on this machine.
        there = f"{self.root}{PIP_SETTINGS}"
        secret = [f"mount --bind {PIP_SETTINGS} {there}", f"mount -o remount,ro,bind {there}"] if Path(PIP_SETTINGS).exists() else []
        self._call(["/bin/sh", "-c", script], variables, [*self._kernels(), *secret], self.directory)

    def started(self, words: list[str], volumes: dict[str, Path]) -> None:
        """Start a container as a restricted pod would: the root read-only, little shared memory, no HOME.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        variables = {key: value for key, value in self.environment.items() if key != "HOME"} | {"PYTHONPATH": "/dev-packages"}
        mounts = [f"mount --bind {self.root} {self.root}", *self._kernels()]
        mounts += [f"mount --bind {path} {self.root}{place}" for place, path in volumes.items()]
        mounts.append(f"mount -o remount,ro,bind {self.root}")
        for place, size in (("/dev/shm", SHM_MB), ("/tmp", 8192), ("/frames", 4096), ("/spill", 1024)):  # noqa: S108 -- of the container
            mounts.append(f"mount -t tmpfs -o mode=1777,size={size}m tmpfs {self.root}{place}")
        self._call([*self.entrypoint, *words], variables, mounts, "/work")

    def _kernels(self) -> list[str]:
        root = self.root
        return [f"mount -t proc proc {root}/proc", f"mount -t sysfs -o ro sysfs {root}/sys", f"mount --rbind /dev {root}/dev"]

    def _call(self, words: list[str], variables: dict[str, str], mounts: list[str], directory: str) -> None:
        inside = shlex.join(["chroot", f"--userspec={self.user}:{self.user}", str(self.root), "/bin/sh", "-c"])
        there = f"cd {shlex.quote(directory)} && exec {shlex.join(words)}"
        script = " && ".join([*mounts, f"exec {inside} {shlex.quote(there)}"])
        # With mounts and processes of its own: none of them outlives it.
        command = ["/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", script]
        subprocess.run(command, env=variables, check=True)


def prepared(root: Path) -> None:
    """The stand-in for the base image."""
    if not (root / "usr/bin/python").exists():
        subprocess.run([DEBOOTSTRAP, "--variant=minbase", "bookworm", str(root)], check=True)
        for path in ("etc/resolv.conf", "etc/hosts"):
            shutil.copy(f"/{path}", root / path)
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / CERTIFICATES.lstrip("/"))
        (root / PIP_SETTINGS.lstrip("/")).touch()
        Image(root, {})._run(f"set -e\n{STAND_IN}")
    for place in ("work", "src", "dev-packages"):
        (root / place).mkdir(exist_ok=True)


def for_tests_only(image: Image) -> None:
    """Install what the tests need and the image has not, beside it."""
    of_image = {line.split("==")[0].lower() for line in (CHECKOUT / "cluster/requirements.txt").read_text().splitlines() if "==" in line}
    pins = [line for line in (CHECKOUT / "cluster/constraints.txt").read_text().splitlines() if "==" in line and line[0] != "#"]
    wanted = [pin for pin in pins if pin.split("==")[0].lower() not in of_image and not pin.startswith(("nvidia-", "triton"))]
    as_user, image.user = image.user, "0"
    image.carry_out("RUN", f"pip install --quiet --no-deps --target /dev-packages --upgrade {shlex.join(wanted)}")
    image.user = as_user


def say(text: str) -> None:
    """Print a line at once: the steps print much."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Build, try, and say what was tried."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--from-step", type=int, default=0, metavar="N", help="leave out the steps before this one, which were run before")
    options = parser.parse_args()
    root: Path = options.folder.resolve()
    prepared(root)
    image = Image(root, dict(word.split("=", 1) for word in options.build_arg))
    for number, (name, rest) in enumerate(dockerfile()):
        say(f"--- step {number}: {name} {rest[:120]}")
        begun = time.monotonic()
        image.carry_out(name, rest, run=number >= options.from_step)
        say(f"    {time.monotonic() - begun:.0f} s")
    for_tests_only(image)
    work = root.with_name(f"{root.name}-work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    os.chown(work, int(image.user), int(image.user))
    volumes = {"/work": work, "/src": CHECKOUT}
    failed = []
    for what, words in TRIED.items():
        say(f"--- tried: {what}: {shlex.join(words)}")
        begun = time.monotonic()
        try:
            image.started(words, volumes)
        except subprocess.CalledProcessError as error:
            failed.append(f"{what}: exit {error.returncode}")
        say(f"    {time.monotonic() - begun:.0f} s")
    say("\n".join(failed) or f"built, and {len(TRIED)} things tried in it")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
