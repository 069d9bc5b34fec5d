"""The page: `python -m c2g_jax.web` serves it to this machine, or to who has its token.

__main__        flags, address and start of the server
app             the web application: routes, error handlers, the page's files
access          who is answered: the names of the server, the token of its link
security        request checks: same origin, who may use it, bounded bodies
errors          errors as an HTTP status and one sentence
routes_session  routes to open, view and close sessions
routes_projects routes of projects: list, name, copy, session file, video
routes_edit     routes that change a session: prompts, tracking, labels, undo
routes_annotate routes by which a person annotates: relations, spans, identity
routes_names    routes of names, and of annotations that others made
bodies          what requests hold
imports         a file of annotations from a client
routes_export   routes of the scene graph and its exports
service         state shared by the routes
opening         opening of sessions: on the server's video, on uploads, as copies
readiness       getting the model ready
sessions        the registry of projects: ids, folders, names, limit, expiry
projects        their files: the video kept to play, session files of others
track_stream    tracking, or finding everything, as a stream of JSON lines
model_host      the model, and sessions opened on it
worker          the one thread that runs JAX
uploads         files from a client, decoded in a separate process
decode          that process
clips           a video stored as JPEG frames
default_clip    the video that the page opens at first
static/         the page: HTML, CSS and JavaScript modules, without a build step
"""
