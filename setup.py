"""Name the packages to install: the tree is the list.

The rest of the build is in pyproject.toml. This part needs code, because fixtures/ and contract_tests/ are installed
inside `emulator` (another distribution owns the top-level name `fixtures`) and discovery cannot rename.
"""

from setuptools import find_packages, setup

INSTALLED_AS = {
    "emulator": "emulator",
    "filter_grammar": "filter_grammar",
    "fixtures": "emulator.fixtures",
    "contract_tests": "emulator.contract_tests",
}

setup(
    package_dir={name: folder for folder, name in INSTALLED_AS.items()},
    packages=[
        name + package.removeprefix(folder)
        for folder, name in INSTALLED_AS.items()
        for package in find_packages(include=[folder, f"{folder}.*"])
    ],
)
