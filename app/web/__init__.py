"""What the faces share: templates, sessions and access, CSRF, errors, forms, security headers, static files.

Belongs here: how a page is made safe and rendered. Not here: any page of one face, any rule, any row of a household.

    access.py       who may call a route (a dependency that every route declares)
    browser.py      the cookies, and the random token that a browser is known by before anybody signs in
    csrf.py         the check of every unsafe method
    forms.py        reading a form into a pydantic model, with errors beside the fields
    pages.py        rendering
    problems.py     errors as a page or as problem+json
    security.py     headers, nonce, size limit (middleware)
"""
