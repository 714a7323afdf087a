"""The registry (レジストリ): programmes (制度) with their versions, parameters, the fact catalogue, municipalities.

Belongs here: the full programme document (`programme`), reading the files of `registry_data/` with the line of every
error (`positions`, `loading`), running the examples that a programme carries (`examples`), the names and codes of
municipalities (`municipalities`), and the tables that hold published versions (`tables`). A version's life: drafts
(`drafts`), whether one may be published (`readiness`), review, approval, end and roll-back (`lifecycle`), what is
published now or was known then (`versions`), the feed of changes (`changes`), taking over from a template
(`inheritance`), what differs in words (`statements`, `differences`), and 年度更新 (`upkeep`). What other registries and
offices read and write (`formats`), files that become drafts (`importing`, with `imported_examples`), programmes written
for others (`exporting`).
What an editor is told: remarks with their sentence (`linting`, `lint_wording`), whose page a source is
(`public_bodies`), which tests the examples show (`example_coverage`), households around every edge
(`boundary_examples`), the first lines of a new file (`skeleton`).
Not here: who is entitled (`rules` decides, `matching` stores) and what is said about it (`notices`).

To add a programme, write one YAML file (see `registry_data/README.md`); no Python changes.
To add a field to the document, add it in `programme` with its docstring, run `todoke registry schema`, and lint it in
`linting` where it must hold; give it a label in `templates/phrases/differences.yaml`.
"""
