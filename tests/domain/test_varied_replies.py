"""Sentences of replies in which people vary every part: who asks, what is to end, how often, how politely.

A trial of the whole list found a third of such sentences unread while each was an entry of its own.
"""

import pytest

from otp_service.domain.optout import Wish
from otp_service.domain.replies import read

from .rendered_texts import NO

STOP = """
Please stop sending me verification codes
stop sending verification codes
no more verification codes
Unsubscribe from these messages
I opt out
I want out
opt out of all messages
end all
I do not consent
not interested, stop
Not interested. Remove me
Stop. I don't know you
You've got the wrong number. Stop texting.
enough! stop
go away
Ich möchte keine weiteren Nachrichten
Ich möchte keine Nachrichten mehr von Ihnen erhalten
Meine Nummer löschen
bitte meine nummer löschen
Nummer löschen
hör auf damit
Kündigung
Ich widerrufe
Ich widerrufe meine Einwilligung
Widerruf der Einwilligung
Schreiben Sie mir nicht mehr
schreib mir nicht mehr
Kontaktieren Sie mich nicht mehr
Arrêtez d'envoyer des messages
je veux me désinscrire
Ne me contactez plus
Pare de enviarme mensajes
paren de enviarme mensajes
para de enviarme mensajes
no deseo recibir más mensajes
no deseo recibir mensajes
Quiero darme de baja de la lista
Solicito la baja
Quíteme de la lista
Quitenme de su lista
Eliminen mi número de su lista
No me contacten más
no molestar
No molesten más
detener mensajes
Basta con questi messaggi
non contattatemi più
Rimuovi il mio numero
Disdici
disdire
voglio disiscrivermi
lasciami in pace
Parem
Não me mande mais mensagens
Please take me off your texting list
I do not want any more of these
I don't want this
i dont want ur texts
dont send me anything
Will you please stop
can you please stop
could you stop texting me
You need to stop
u need to stop
I am opting out
I'm opting out
I unsubscribe
Keine weiteren Nachrichten mehr
keine sms mehr an diese nummer
entfernen
Löschen
Bitte löschen
Ich will das nicht mehr
Ich möchte das nicht mehr
Ich möchte nichts mehr erhalten
Ich möchte abbestellen
Veuillez arrêter de m'envoyer des messages
Merci d'arrêter
Merci de ne plus m'envoyer de messages
Merci de me désinscrire
Merci de me retirer de votre liste
je me désinscris
Je veux arrêter
Je ne veux plus de vos messages
N'envoyez plus de messages
Favor de no enviar más mensajes
Quiero cancelar la suscripción
quiero desuscribirme
dar de baja mi número
Parar mensajes
Stop mensajes
Cancelar mensajes
No quiero más
No quiero estos mensajes
Basta de mensajes
Non voglio più essere contattato
Non voglio questi messaggi
Non mandate più messaggi
Non inviare più messaggi
Cancellami dalla lista
Voglio cancellarmi
voglio annullare l'iscrizione
cancellate la mia iscrizione
Vorrei disiscrivermi
Interrompere
Disattiva
disattivare
""".strip().split("\n")
SIGNED = (
    "Stop\nDiese Nachricht wurde von meinem Android-Gerät mit K-9 Mail gesendet.",
    "Stop\nTélécharger Outlook pour iOS",
    "Stop\nObtenir Outlook pour Android",
    "Stop\nOutlook für Android herunterladen",
    "Stop\nHolen Sie sich Outlook für iOS",
    "Stop\nScarica Outlook per iOS",
    "Stop\nObtener Outlook para iOS",
)
DENIAL = """
Not me, sorry
sorry, not me
not me sorry
No, sorry
I was not logging in
Ich logge mich nicht ein
ne
Ce n'est pas moi qui me connecte
Je ne me connecte pas
je n'ai pas essayé de me connecter
no lo solicité yo
No soy yo quien lo pidió
No estoy intentando entrar
Non ho richiesto alcun codice
Não pedi código nenhum
I didn't make this request
I did not make this request
I didn't initiate this
I didn't start this
I did not initiate this login
Never requested this
did not request a code
didn't ask for this
didn't do this
I'm not signing in anywhere
Someone's trying to log in
Ne, das war ich nicht
Ich habe keinen Code angefragt
Ich habe mich nicht versucht einzuloggen
Ich versuche nicht mich anzumelden
Habe nichts angefordert
Ça n'est pas moi
Ce n'est pas ma demande
Je n'ai pas fait de demande
je n'ai pas demandé de connexion
Je n'ai jamais demandé ce code
nunca lo pedí
No fui yo quien solicitó el código
No es mi solicitud
non ho chiesto io il codice
Non ho fatto nessuna richiesta
Non è una mia richiesta
mai richiesto
""".strip().split("\n")
NEITHER = """
Don't stop
please don't stop
dont stop sending codes
Do not stop
don't unsubscribe me
Do not cancel
never stop
why did you stop
did you stop?
can't stop
when will it stop
why did it stop?
I said stop
He said "stop"
Should I reply STOP?
Do I text STOP
The code stopped working
stop working
full stop
I will stop by
cancel the order
cancel my order
please cancel my reservation
cancel my payment
Cancel that transaction
how to quit
remove the old number and add this
help I can't stop
stop is not what I want
Nicht stoppen
bitte nicht stoppen
Bitte nicht abmelden
nicht abmelden
Ich will mich nicht abmelden
ich will mich anmelden
N'arrêtez pas
Ne pas arrêter
n'arrête pas
ne me désabonnez pas
Je ne veux pas me désabonner
No quiero darme de baja
no me den de baja
no cancelar
No cancelen
Non fermare
Non fermatevi
non cancellatemi
non annullare
Non voglio disiscrivermi
non disiscrivermi
baja el volumen
Alto riesgo
fin de semana
fine settimana
Basta così poco?
para mi hermano
Thanks 123456
Is this a scam?
who are you
OK thanks
No fue mi hermano
not me yet
Don't stop sending
pls dont stop
do not opt out
Do not opt me out
I don't want to opt out
I do not want to unsubscribe
don't remove me
please don't remove me
Do not unsubscribe me
I want to stay subscribed
Why do I need to stop?
what does STOP do
Text STOP to stop
is this real? stop
stop being so slow
stop the car
Stop the payment
stop payment
stop payment please
block my card
cancel the transfer
cancel transfer
Cancel login
cancel it
stop loss
I quit my job
the code ended
nicht stoppen bitte
Hör nicht auf
hört nicht auf
Ne t'arrête pas
pas d'arrêt
no te detengas
no dejen de enviarme mensajes
no dejes de enviarme
non smettere
Non smettete di scrivermi
Non cancellare il mio numero
no borren mi número
no elimines mi número
ne supprimez pas mon numéro
Meine Nummer nicht löschen
bitte nicht löschen
I do consent
I don't not consent
never mind
No, thank you for the code
No more tries left
no puedo entrar
no me llega
non arriva il codice
je n'ai pas reçu le code
Ich habe keinen Code bekommen
Ich habe keinen Code erhalten
Ich habe den Code nicht erhalten
No he recibido ningún código
No recibí el código
Non ho ricevuto il codice
I did not get a code
I didn't receive a code
I requested this
I did request this
Yes I requested this code
sí fui yo quien lo pidió
sono stato io
ich war es
C'est bien moi
I'm logging in
No it's me
no, it's me
Non, c'était moi
No, soy yo
No, sono io
enough credit?
enough money
Sorry, what?
Not interested in code
go away from keyboard
""".strip().split("\n")


@pytest.mark.parametrize("text", [*STOP, *SIGNED])
def test_a_sentence_that_opts_out_is_understood(text: str) -> None:
    """In every language that we send in."""
    reading = read(text)
    assert (reading.wish, reading.denies(NO), reading.unclear) == (Wish.STOP, False, False)


@pytest.mark.parametrize("text", DENIAL)
def test_a_sentence_that_denies_is_understood(text: str) -> None:
    """And opts nobody out."""
    reading = read(text)
    assert (reading.wish, reading.denies(NO)) == (None, True)


@pytest.mark.parametrize("text", NEITHER)
def test_a_sentence_that_means_something_else_changes_nothing(text: str) -> None:
    """The same words with a "don't" before them, or about something else."""
    reading = read(text)
    assert (reading.wish, reading.denies(NO)) == (None, False)
