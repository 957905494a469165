"""`python -m mangaassist.cli`."""

from mangaassist.cli.main import app

app()
