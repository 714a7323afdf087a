"""The criteria language and its one evaluator. Pure: numpy, pydantic and the standard library.

Belongs here: the documents of rules, facts, parameters and households; evaluation, timelines, amounts, deadlines,
traces, explanation. Does not belong here: reading files, the database, the clock, wording (phrases come in as a value).

How it is used, from the documents to the answer::

    catalogue = FactCatalogue.from_mapping(mapping)            # facts
    household = read_household(document, catalogue, "line 3")  # household: checked, or DocumentError with paths
    rulebook = Rulebook.compile(rules, catalogue, parameters)  # evaluate: every version compiled once, then kept
    population = Population.from_documents(households, catalogue)   # population: columns; stored documents work too

    evaluate(rulebook, population, on)      # evaluate: key → int8 per subject row (0 no, 1 unknown, 2 yes)
    entitlements(rulebook, population, on)  # inquiry: key → Periods; what matching stores
    timeline(rulebook, population, first, last, as_of=…)       # timeline: key → Periods
    answers_on(rulebook, population, on)    # inquiry: every answer of every household, as ``todoke check`` prints it
    answer_table(Asked(…))                  # answer_table: one version's answers as columns, each row on its own day
    impact(before, after, key, population, on)                 # impact: who gains and loses under another rulebook
    Detail(rulebook, population, household_row, on).explanation(key, row, phrases)   # details: the tree in words

``Periods`` is columnar: ``row`` (a row of ``population.people[subject]``), ``verdict``, ``first``, ``last`` (day
numbers, days since 1970-01-01); ``periods.households(population)`` gives household rows, ``population.ids`` and
``population.people[kind].ids`` the names. Nothing loops over households except reading out the rows that are told; rows
that look alike share one trace (``outlines``). Cut a large population into parts of about 50,000 households
(``population.subset``) so that the arrays stay in the cache.

``as_of`` is the day of asking. A dated income that counts on it is carried past later switches of the income year
(``review_on`` says until when); a programme overdue for checking on it is undetermined at best.

For whoever writes and approves a rule::

    full_read_back(rule, phrases, on)             # read_back: everything it says, in sentences, with the day's figures
    lint(rule, today, catalogue, parameters)      # lint: contradictions, gaps, units, dates; found by trials
    boundaries(rule, catalogue, on, households)   # boundaries: pairs of households around every edge, as they come out

To add a kind of test: a model in ``criteria``; its node in ``nodes``, ``day_nodes``, ``people_nodes`` or
``residence_nodes`` (verdicts, and the days on which they may change); a line in ``compiling``; its edges in ``edges``;
a phrase per language in ``templates/phrases``; its three outcomes as a test in ``tests/unit/rules``.
"""
