"""The tree is the architecture: imports point one way, and each framework has one door."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE_FOLDERS = {"rlgen": "rlgen", "agents": "rlgen.agents", "envs": "rlgen.envs"}

# From the bottom up. A module may import its own layer and those before it, nothing else.
LAYERS = (
    "rlgen",
    "rlgen.errors",
    "rlgen.idle",
    "rlgen.deprecation",
    "rlgen.display",
    "rlgen.checks",
    "rlgen.system",
    "rlgen.distributed",
    "rlgen.equations",
    "rlgen.nn",
    "rlgen.generators",
    "rlgen.data",
    "rlgen.rewards",
    "rlgen.sim",
    "rlgen.sb3",
    "rlgen.runs",
    "rlgen.reports",
    "rlgen.bench",
    "rlgen.envs",
    "rlgen.agents",
    "rlgen.agents.commands",
    "rlgen.agents.cli",
    "rlgen.__main__",
)
# Agents and environments meet in the composition root only, else through Gymnasium ids and vector environments.
STRANGERS = {("rlgen.agents", "rlgen.envs")}

# Import name of a framework → the layers that may import it.
DOORS = {
    "stable_baselines3": {"rlgen.sb3", "rlgen.envs", "rlgen.agents", "rlgen.agents.cli", "rlgen.agents.commands"},
    "sb3_contrib": {"rlgen.sb3", "rlgen.agents", "rlgen.agents.commands"},
    "warp": {"rlgen.sim"},
    "mujoco_warp": {"rlgen.sim"},
    "ray": {"rlgen.bench"},
    "submitit": {"rlgen.bench"},
    "optuna": {"rlgen.bench"},
    "tyro": {"rlgen.agents.cli", "rlgen.agents.commands"},
}


def source_files() -> dict[str, Path]:
    """Module name → file, for every module that installs."""
    files = {}
    for folder, package in SOURCE_FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = [package, *path.relative_to(ROOT / folder).with_suffix("").parts]
            files[".".join(parts).removesuffix(".__init__")] = path
    return files


FILES = source_files()


def layer_of(module: str) -> str | None:
    """The longest layer name that `module` lies in; None for a module that is not ours."""
    parts = module.split(".")
    for length in range(len(parts), 1, -1):
        if ".".join(parts[:length]) in LAYERS:
            return ".".join(parts[:length])
    return "rlgen" if module == "rlgen" else None


def imports_of(module: str, path: Path) -> list[tuple[int, str]]:
    """(line, absolute module) for each import statement, wherever in the file it stands."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            origin = ".".join(part for part in (base, node.module or "") if part)
            # `from rlgen import envs` imports a module, `from rlgen.envs import make_vec` a name of one.
            found += [
                (node.lineno, f"{origin}.{a.name}" if f"{origin}.{a.name}" in FILES else origin) for a in node.names
            ]
    return found


EDGES = [(module, line, target) for module, path in FILES.items() for line, target in imports_of(module, path)]


def test_the_reader_finds_the_imports_that_are_there() -> None:
    edges = {(module, target) for module, _, target in EDGES}
    assert ("rlgen.data.transitions", "torch") in edges
    assert ("rlgen.envs.make", "rlgen.envs.registry") in edges, "a relative import"


def test_every_module_lies_in_a_layer() -> None:
    assert [module for module in FILES if layer_of(module) is None] == []


def test_imports_point_down_the_layers() -> None:
    upward = []
    for module, line, target in EDGES:
        here, there = layer_of(module), layer_of(target)
        if here and there and LAYERS.index(there) > LAYERS.index(here):
            upward.append(f"{FILES[module].relative_to(ROOT)}:{line}: {here} imports {target}")
    assert upward == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports for types only count, too."""
    imported = {module: {target for here, _, target in EDGES if here == module and target in FILES} for module in FILES}
    open_, order = {module: targets - {module} for module, targets in imported.items()}, []
    while free := [module for module, targets in open_.items() if not targets]:
        order += free
        open_ = {module: targets - set(free) for module, targets in open_.items() if module not in free}
    assert open_ == {}, "these modules lie on circles, or import from one"


def test_agents_do_not_import_environments() -> None:
    met = [(module, target) for module, _, target in EDGES if (layer_of(module), layer_of(target)) in STRANGERS]
    assert met == []


def test_each_framework_has_one_door() -> None:
    outside = [
        f"{FILES[module].relative_to(ROOT)}:{line}: imports {target}"
        for module, line, target in EDGES
        if layer_of(module) not in DOORS.get(target.split(".")[0], {layer_of(module)})
    ]
    assert outside == []


def test_no_python_file_names_agents_or_envs_without_rlgen() -> None:
    # In a checkout `import agents` finds the folder and loads a second copy of every class in it.
    wrong = []
    for folder in (*SOURCE_FOLDERS, "tests", "experiments"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module or ""]
                wrong += [f"{path}:{name}" for name in names if name.split(".")[0] in ("agents", "envs")]
    assert wrong == []


def test_every_package_folder_is_listed_in_pyproject() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    present = {module for module, path in FILES.items() if path.name == "__init__.py"}
    assert present == set(listed)


def test_every_folder_with_modules_is_a_package() -> None:
    bare = {path.parent for path in FILES.values() if not (path.parent / "__init__.py").exists()}
    assert bare == set()


def test_every_third_party_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    runtime = project["dependencies"] + [each for name in extras if name != "dev" for each in extras[name]]
    declared = {re.split(r"[\[<>=~! ]", each)[0].lower().replace("_", "-") for each in runtime}
    distributions = packages_distributions()
    declared.add("mujoco-core")  # what `mujoco` brings from 4.0 on
    undeclared = set()
    for module, _, target in EDGES:
        top = target.split(".")[0]
        if top in sys.stdlib_module_names or top in ("rlgen", "__future__"):
            continue
        providers = {name.lower().replace("_", "-") for name in distributions.get(top, [])}
        if providers and not providers & declared:  # an extra that is not installed has no provider
            undeclared.add(f"{module} imports {top}")
    assert undeclared == set()


def test_no_file_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "util", "common", "misc", "helpers", "helper"}
    places = [ROOT / folder for folder in (*SOURCE_FOLDERS, "tests", "experiments")]
    assert [path for place in places for path in place.rglob("*") if path.stem in empty] == []


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout: no list of tracked files")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_tracked_file_names_a_path_of_one_machine() -> None:
    # Spelt in pieces, so that this file does not match itself.
    homes = re.compile(rb"(?<![\w.$}])/(?:" + b"|".join([b"home", b"root", b"work", b"Users", b"mnt"]) + rb")/\w")
    guilty = []
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" not in content[:1024] and homes.search(content):
            guilty.append(str(path.relative_to(ROOT)))
    assert guilty == []


def test_nobody_asks_a_model_whether_it_is_on_a_device() -> None:
    asked = [str(path) for path in FILES.values() if re.search(r"isinstance\(.*DevicePPO", path.read_text("utf-8"))]
    assert asked == [], "a rollout on a device is a Rollout"
