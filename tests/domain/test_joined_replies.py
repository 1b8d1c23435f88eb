"""Replies without the signs that part sentences, with letters repeated or zeros, and others that a trial found unread.

Each kind of them has likenesses that mean something else, which change nothing.
"""

import pytest

from otp_service.domain.optout import Wish
from otp_service.domain.replies import read

from .rendered_texts import NO

STOP = """
sstop
STOPSTOPSTOP
ST0P
STOP ALREADY
stop forever
stop texting me forever
Stop for good
stop permanently
STOP please and thank you
STOP tks
this is spam, stop
stop I don't know who this is
I don't have an account, stop
stop texting me i didn't sign up
Don't ever text me again
do not ever text me again
dont text
Do not contact
Don't send anymore texts
stop sending me stuff
I wanna stop
lose this number
Cancel alerts
End subscription
Consent revoked
do not consent
Cease and desist
cease and desist texting me
Einwilligung widerrufen
Stoppez
Merci de stopper
Stoppez les messages
cessez
¡Para!
para por favor
Deténgase
detente
disiscriviti
Stopp SMS
opt me out of everything
remove me from everything
stop all of this
take me off ur list
I want off this list
unsubscribe from list
I revoke
I hereby revoke consent
consent withdrawn
leave me be
Stop emailing me
stop bro
this is not my number stop
I think you have the wrong number, stop
You have wrong number. Please stop.
Bitte Stoppen Sie
hoert auf
hör auf zu schreiben
Kuendigung
arrête ça
arrêtez de texter
STOP TEXTO
désabonne-moi
Laisse moi tranquille
quiero la baja
quiero cancelar los mensajes
bórrenme
ferma messaggi
Cancella iscrizione
""".strip().split("\n")
BOTH = """
STOP I didn't request this
Stop not me
stop this isn't me
Not me stop
Not me please stop texting me
wrong person stop
Stop I did not ask for a code
stop pas moi
Alto no fui yo
""".strip().split("\n")
DENIAL = """
nooo
NOOOO!!!
N0
N.O.
N O
no it wasn't
I did not request a verification code
I didn't request this verification code
We didn't request this
Nobody here requested this
not me logging in
That wasn't me logging in
someone is using my number
Someone else is using my account
Ich habe keine SMS angefordert
c pas moi
no it's not
that's someone else
I did not attempt to log in
Someone is trying to log in to my account
Someone hacked me
Unauthorised login
deny it
War nicht ich
jemand anderes
quelqu'un d'autre
Je n'essaie pas de me connecter
otra persona
Yo no soy
qualcun altro
Non sto cercando di accedere
""".strip().split("\n")
NEITHER = """
no ahora
No ya
ya no
non adesso
pas maintenant
not now
no stop
no no stop
hell no stop
don't stop it wasn't me
do not stop not me
I didn't stop
No I did not cancel
I did not request stop
cancel that was not me
Cancel that login wasn't me
end someone else
stop payment not me
stop the login it wasn't me
stop someone else from logging in
para mí
para cancelar
parar para comer
already
forever
I don't have an account
I didn't sign up
this is spam
n o w
no texts
no sms
start again later
noon
nobody
nobody here
no it wasn't me it was my son
we requested this
someone else has the phone
no it's not working
what does stop mean
I already said stop
stop it tomorrow
stop on by
do I have to unsubscribe
remove my card
cancel the code and send new
arrêter de fumer
retirer de l'argent
plus de détails
parar en la esquina
cancelar vuelo
borrame la foto
cancella la foto
annullare il volo
ferma qui
man
this is not my number
I think you have the wrong number
non è qualcun altro
no es otra persona
""".strip().split("\n")


@pytest.mark.parametrize("text", STOP)
def test_a_wish_to_opt_out_is_understood(text: str) -> None:
    """And denies nothing."""
    reading = read(text)
    assert (reading.wish, reading.denies(NO), reading.unclear) == (Wish.STOP, False, False)


@pytest.mark.parametrize("text", BOTH)
def test_a_wish_and_a_denial_need_no_sign_between_them(text: str) -> None:
    """Both are meant, in either order."""
    reading = read(text)
    assert (reading.wish, reading.denies(NO), reading.unclear) == (Wish.STOP, True, False)


@pytest.mark.parametrize("text", DENIAL)
def test_a_denial_is_understood(text: str) -> None:
    """And opts nobody out."""
    reading = read(text)
    assert (reading.wish, reading.denies(NO)) == (None, True)


@pytest.mark.parametrize("text", NEITHER)
def test_what_is_like_them_changes_nothing(text: str) -> None:
    """Not yet is no denial, and a denial may say what is to be stopped, or not to be."""
    reading = read(text)
    assert (reading.wish, reading.denies(NO)) == (None, False)


@pytest.mark.parametrize("text", ["start again", "please resubscribe me", "Start texts", "start texting"])
def test_a_person_can_come_back(text: str) -> None:
    """In more words than START."""
    assert read(text).wish is Wish.START
