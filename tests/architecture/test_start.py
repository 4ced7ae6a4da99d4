import importlib.util
import subprocess
import sys
import time

from worldfoundry.cli.main import COMMANDS


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_configurations_recipes_and_commands_start_without_torch(repository):
    source = repository / "src"
    paths = [*source.glob("worldfoundry/**/*config.py"), *source.glob("worldfoundry/recipes/**/*.py")]
    modules = sorted(".".join(path.relative_to(source).with_suffix("").parts) for path in paths)
    modules += [command.module for command in COMMANDS.values()]
    code = (
        f"import importlib, sys\nfor name in {modules!r}:\n    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, f'{name} imports torch; import it where the work is done'\n"
    )
    _run(code)


def test_every_command_has_its_module():
    missing = [name for name, command in COMMANDS.items() if importlib.util.find_spec(command.module) is None]
    assert not missing


def test_help_answers_in_half_a_second_and_imports_nothing_heavy():
    code = (
        "import sys; from worldfoundry.cli.main import main; assert main(['--help']) == 0\n"
        "heavy = {'torch', 'numpy', 'tyro', 'av', 'rich'} & set(sys.modules); assert not heavy, heavy"
    )
    seconds: list[float] = []
    for _ in range(4):  # the fastest of a few: the other workers share the cores
        before = time.perf_counter()
        assert "worldfoundry demo" in _run(code)
        seconds.append(time.perf_counter() - before)
    assert min(seconds) < 0.5
