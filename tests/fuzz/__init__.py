"""A seeded fuzz of everything that reads what strangers wrote: demonstrations, images, run folders, saved models.

    python -m tests.fuzz --cases 10000                                  all formats, with a table by verdict
    python -m tests.fuzz --format episodes --seed 17 --case 123         one case again, with its traceback

A case is a whole file or folder, damaged by what its format, the seed and the case's number decide, and then used like
a user would. It may work or be refused in three parts; anything else is a fault (`verdict.BAD`).
"""
