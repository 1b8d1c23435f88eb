"""The event-loop server of the API: one loop per process takes connections, reads requests and answers.

Requests to a few endpoints are answered in the loop itself (`protocol`), by the same `web.endpoint.Endpoint` that Flask
would call; where it waits for the store, the loop goes on with others (`greenlets`). Every other request is read whole
and given to the Flask app in a bounded pool of threads (`flask_app`). A request that has another than the plain form
(`plain`) goes that way too, whatever its path.
"""
