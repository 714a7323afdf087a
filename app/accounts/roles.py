"""The roles a staff account may have; what each may do stands in `permissions`.

Imports no other room, so that the command line may name the roles without loading a database driver.
"""

from typing import Literal

Role = Literal["viewer", "editor", "approver", "administrator"]
