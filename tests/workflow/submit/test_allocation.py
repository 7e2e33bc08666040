"""What the batch script of SLURM asks of Python: a free port, and a word on a head that is not there."""

import socket

from click.testing import CliRunner

from workflow.submit.allocation import main


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["free-port", str(port)])
    assert result.exit_code == 0
    assert port < int(result.stdout) < port + 200


def test_a_head_that_is_not_there() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        words = ["wait", "--address", address, "--nodes", "2", "--gpus", "0", "--seconds", "0"]
        result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert f"no Ray head answers at {address}" in result.stderr
