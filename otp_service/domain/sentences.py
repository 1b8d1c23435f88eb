"""Sentences by which people opt out or deny, built of the parts that each language has: who, what, how often.

`phrases` has the keywords and set phrases. Of a sentence people vary every part, so a list of whole sentences hears
few of them. Written as `replies` compares them: lower case, no accents, no apostrophes, one blank between words. Each
part is a short list: what is in none of them makes the reply unclear, and an unclear reply changes nothing.
"""

_NOUN = (
    r"(?:(?:these|those|this|that|your|ur|the|all|any|any ?more|more|such|other|of|me) )*"
    r"(?:(?:verification|login|security|one time|text) )?"
    r"(?:text|message|msg|txt|sms|code|spam|alert|notification)s?(?: messages?)?"
)
_ANY = r"(?:these|those|anything|(?:this )?stuff|any ?more|any ?more of (?:these|those|this|them))"
_TAIL = r"(?: any ?more| again| from (?:you|u|this number)| (?:to|on|at) (?:me|us|(?:my|this) (?:phone|number|cell)))*"
_WHO = r"(?: me| us| (?:this|my) (?:number|phone|cell))?"
_ASKED = (
    r"(?:(?:(?:can|could|will|would) (?:you|u) |(?:you|u) (?:need to|have to|must|should) |i (?:want|need) you to )"
    r"(?:please |pls |just )?)?"
)
_ING = r"(?:sending|texting|txting|messaging|mailing|emailing|contacting|calling|spamming|bothering|harassing|annoying)"

_EN_STOP = (
    rf"{_ASKED}(?:stop|quit|cease|desist)(?: {_ING}{_WHO}(?: (?:{_NOUN}|{_ANY}|this|that|them|it))?{_TAIL}"
    rf"| {_NOUN}{_TAIL})?",
    rf"{_ASKED}(?:do not|dont|never|not)(?: ever)? (?:send|text|txt|message|contact|sms|msg|bother|spam|call){_WHO}"
    rf" (?:{_NOUN}|{_ANY}){_TAIL}",
    rf"(?:i )?(?:do not|dont|no longer|never) (?:want|wish)(?: to (?:receive|get|see))?"
    rf" (?:{_NOUN}|{_ANY}|this|that|them|it){_TAIL}",
    rf"{_ASKED}(?:unsubscribe|remove|delete) (?:me|us|(?:my|this) (?:phone |cell )?number)(?: from {_NOUN})?",
    rf"{_ASKED}(?:take|remove|get|delete) (?:me|us|(?:my|this) number) (?:off|from)(?: of)?"
    r" (?:your|ur|the|this|that|all|any) (?:(?:texting|text|mailing|contact|phone|sms|marketing|call|calling) )?lists?",
    r"i(?:m| am) (?:opting out|unsubscribing)|i (?:opt out|unsubscribe)",
)

_DE_NOUN = r"(?:(?:diese|solche|die|weiteren|weitere|deine|eure|ihre) )*(?:sms|nachrichten|codes|texte|textnachrichten)"
_DE_TO = r"(?: (?:an (?:diese|meine) nummer|auf (?:dieses|mein) handy|von (?:ihnen|euch|dir)|an mich))*"
_DE_GET = r"(?: (?:erhalten|bekommen|empfangen|haben|schicken|senden))?"
_DE_STOP = (
    rf"(?:bitte )?keine (?:weiteren {_DE_NOUN}(?: mehr)?|{_DE_NOUN} mehr){_DE_TO}(?: bitte)?{_DE_GET}",
    rf"(?:ich )?(?:will|mochte|moechte|wunsche) (?:bitte )?(?:keine {_DE_NOUN}(?: mehr)?|(?:das|die"
    rf"|diese sms) nicht mehr"
    rf"|nichts mehr){_DE_TO}{_DE_GET}",
    rf"(?:ich )?(?:will|mochte|moechte) (?:(?:das|{_DE_NOUN}) )?(?:abbestellen|kundigen|stoppen|beenden|widerrufen)",
    r"entfernen|loschen|(?:bitte )?(?:loschen|entfernen) sie mich",
)

_FR_NOUN = r"(?:(?:de|des|d|vos|ces|les|tous|aucun|tes) )*(?:sms|messages?|textos?|codes?|notifications?)"
_FR_DO = r"(?:menvoyer|mecrire|envoyer|me contacter|me deranger|me texter)"
_FR_LIST = r"(?: de (?:la|votre|vos|cette) listes?)?"
_FR_STOP = (
    rf"(?:de |d|veuillez )?(?:arreter|arretez|arrete|cesser|cessez) (?:(?:de |d){_FR_DO}(?: {_FR_NOUN})?|{_FR_NOUN})",
    r"(?:de |d|veuillez )(?:arreter|cesser)|(?:de |veuillez )?(?:stopper|stoppez|cesser|cessez)"
    rf"(?: {_FR_NOUN})?|je (?:veux|voudrais|souhaite) (?:arreter|me retirer)",
    rf"(?:de |veuillez )?ne plus (?:{_FR_DO}|recevoir)(?: (?:{_FR_NOUN}|rien))?|ne pas (?:menvoyer"
    rf"|envoyer) {_FR_NOUN}",
    rf"(?:ne m|n)(?:envoyez|envoie|ecrivez) plus(?: (?:{_FR_NOUN}|rien))?",
    rf"je ne (?:veux|souhaite|desire) plus (?:rien|etre contactee?|(?:recevoir |avoir )?{_FR_NOUN}|rien recevoir)",
    rf"(?:de |veuillez )?me (?:desinscrire|desabonner|retirer|supprimer|enlever){_FR_LIST}",
    rf"(?:retirez|retirer|supprimez|supprimer|enlevez|effacez) (?:moi|mon numero){_FR_LIST}",
)

_ES_NOUN = r"(?:(?:de|los|estos|esos|sus|tus|mas|otros|a|con) )*(?:mensajes|sms|textos|codigos)"
_ES_STOP = (
    r"(?:favor de )?no (?:me )?(?:envi|mand|escrib|contact|molest)(?:ar|ir|en|e|es|an|a|as)(?:me)?"
    rf"(?: mas(?: {_ES_NOUN})?| {_ES_NOUN})",
    rf"(?:ya )?no (?:quiero|deseo)(?: recibir)? (?:mas|{_ES_NOUN})|(?:stop|basta|alto) {_ES_NOUN}",
    rf"(?:cancelar|cancelen|parar|paren|detener|detengan|cesen) {_ES_NOUN}",
    r"(?:quiero |deseo )?(?:(?:cancelar|anular) (?:la |mi )?suscripcion|desuscribirme|salir de (?:la|su|esta) lista)",
    r"(?:dar|den|quiero dar) de baja (?:a )?(?:mi|este) numero",
)

_IT_NOUN = r"(?:(?:i|gli|questi|altri|piu|dei|di|con|vostri) )*(?:sms|messaggi|messaggini|codici)"
_IT_LIST = r"(?: dalla (?:vostra |tua )?lista)?"
_IT_STOP = (
    r"non (?:mi )?(?:mand|invi|scriv|contatt|disturb)(?:a|i|e|ar|er|ate|iate|ete)?(?:mi|re)?"
    rf"(?: piu(?: {_IT_NOUN})?| {_IT_NOUN})",
    rf"(?:io )?non (?:voglio|desidero) (?:piu )?(?:essere (?:piu )?contattat[oa]|(?:ricevere )?{_IT_NOUN})",
    r"(?:voglio |vorrei |desidero )?(?:cancellarmi|disiscrivermi|(?:annullare|cancellare) (?:la mia |l)iscrizione)",
    rf"(?:cancellate|annullate|cancella|annulla) (?:la mia |l)iscrizione|cancella(?:te)?mi{_IT_LIST}",
    r"interrompere|interrompete|disattiva|disattivare|disattivate",
)

STOP = (*_EN_STOP, *_DE_STOP, *_FR_STOP, *_ES_STOP, *_IT_STOP)
"""Whole sentences that opt out."""

_ASKED_FOR = (
    r"(?: (?:this|that|it|one|anything|(?:(?:a|any|the|this|that|your) )?(?:(?:verification|login|security) )?"
    r"(?:code|login|sign in|request|text)))"
)
_DID_NOT = r"(?:(?:no )?(?:(?:i|we) )?(?:did not|didnt|never|have not|havent) (?:even )?)"
_EN_DENIAL = (
    rf"{_DID_NOT}(?:request(?:ed)?|ask(?:ed)?(?: for)?|order(?:ed)?|authori[sz]ed?){_ASKED_FOR}?",
    rf"(?:nobody|no one)(?: here)? (?:requested|asked for){_ASKED_FOR}",
    rf"{_DID_NOT}(?:do|did|done|make|made|initiated?|start|started|try|tried){_ASKED_FOR}",
    rf"{_DID_NOT}(?:attempt to|try to) (?:log|sign) ?in",
    r"(?:(?:im|i am) )?not (?:(?:trying to )?(?:log|logging|sign|signing) in)(?: anywhere| right now| today)?",
    r"(?:someone|somebody)s (?:trying to )?(?:log|logging|sign|signing|get|getting) in(?: ?to my account)?",
)
_DE_CODE = r"(?:angefordert|angefragt|bestellt|beantragt|verlangt)"
_DE_DENIAL = (
    r"(?:ich )?(?:habe|hab|hatte) (?:keinen code|keine (?:sms|nachricht)|nie einen code|nichts|nix"
    r"|(?:das|es|(?:den|diesen) code) nicht)"
    rf" {_DE_CODE}",
    r"ich (?:habe|hab) (?:mich )?nicht versucht (?:mich )?(?:einzuloggen|anzumelden)",
    r"ich versuche nicht mich (?:gerade )?(?:einzuloggen|anzumelden)|ne",
)
_FR_WHAT = r"(?: (?:ca|cela|ceci|(?:ce|de|un|le|cette|la|une) ?(?:code|connexion|demande)))"
_FR_DENIAL = (
    r"(?:non )?(?:ce|ca|cela) n(?:est|etait) pas (?:moi|ma demande|ma connexion|mon code|mon compte)",
    rf"(?:je n|j)ai (?:pas|jamais|rien) demande{_FR_WHAT}?|je nai (?:pas|jamais) fait (?:de|cette|la|une) demande",
)
_ES_WHAT = r"(?: (?:esto|eso|nada|(?:el|este|ese|un|ningun) (?:codigo|acceso)))"
_ES_DENIAL = (
    rf"(?:yo )?nunca (?:lo |la )?(?:pedi|solicite|he pedido|he solicitado){_ES_WHAT}?",
    rf"(?:yo )?no (?:fui|soy|he sido) yo quien (?:pidio|solicito|ha pedido|ha solicitado){_ES_WHAT}",
    r"no es (?:mi (?:solicitud|codigo|cuenta|acceso)|mio|mia)",
)
_IT_WHAT = r"(?: (?:io|questo|niente|nulla|(?:il|questo|nessun|alcun) codice|(?:nessuna|alcuna|questa) richiesta))"
_IT_DENIAL = (
    rf"(?:io )?non (?:ho|lho) (?:mai )?(?:richiesto|chiesto){_IT_WHAT}{{0,2}}"
    rf"|(?:io )?non ho (?:mai )?fatto{_IT_WHAT}",
    rf"mai (?:richiesto|chiesto){_IT_WHAT}?|non e(?:ra)? (?:una )?(?:mia richiesta|(?:il )?mio codice"
    rf"|il mio account)",
)

DENIAL = (*_EN_DENIAL, *_DE_DENIAL, *_FR_DENIAL, *_ES_DENIAL, *_IT_DENIAL)
"""Whole sentences that say "that wasn't me"."""
