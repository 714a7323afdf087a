"""The faces: parent, staff and partner pages and their APIs. No face knows another.

Belongs here: routes, forms and what a page shows. Not here: rules, rows, sending, or words (they live in `templates/`).
A route calls one use case and commits once. To add a page: a route with an access dependency of `app.web.access`, a
template, and a test; the architecture test refuses a route that does not say who may call it.
"""
