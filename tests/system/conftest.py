"""What every test file here may ask for."""

import pytest


@pytest.fixture
def tell(capsys):
    """Says a figure aloud: ./test repeats lines that begin so."""

    def say(text):
        with capsys.disabled():
            print(f"\nfigure: {text}", flush=True)

    return say
