"""Memory that is given back: whoever asks next has it without the kernel."""

import subprocess
import sys

import pytest

CODE = """
import resource
import numpy as np
from core import malloc

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def touch():
    np.ones(2**26, np.uint8)  # 64 MB

{call}
touch()
before = faults()
touch()
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="faults of pages are counted on Linux")
def test_memory_is_mapped_once():
    def faults(call: str) -> int:
        words = [sys.executable, "-c", CODE.format(call=call)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return int(done.stdout)

    # 64 MB are 32 pages at the least, 16,384 where pages are small.
    assert faults("") >= 32
    # A page or two of the interpreter's own.
    assert faults("malloc.keep_freed()") < 16
