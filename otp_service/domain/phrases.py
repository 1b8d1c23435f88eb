"""What people write to opt out, to opt in, for help and for "that wasn't me": whole messages, by language.

The words are the FCC's (47 CFR 64.1200(a)(10)), the CTIA's, those of French Canada, and those of the languages that
we send in. Written as `replies` compares them: lower case, no accents, no apostrophes, one blank between words.
Parts in brackets may be left out; nothing else is guessed.
"""

import re
from collections.abc import Sequence
from functools import cache

_TEXTS = (
    r"(?:(?:these|those|this|that|your|the|all|any|more|such|me|of) )*"
    r"(?:text message|text|message|msg|txt|sms|code|spam|alert|notification)s?"
    r"(?: messages?)?(?: any ?more| again| from you| to me| to this number)*"
)
_LIST = r"(?:your|the|this|that|all|any)(?: (?:list|lists|database|system|texts?|messages?|sms|service|alerts?))?"

STOP = (
    # English
    r"st+o+p+(?: it| this| that| all| everything)?",
    r"stopall",
    r"stop ?(?:2|to) ?(?:end|quit|cancel|stop|unsubscribe|opt ?out)",
    r"quit|end|cancel|cease|revoke",
    r"unsub|unsubscribe(?: me| us)?(?: (?:this|my) (?:number|phone|cell))?(?: from " + _LIST + r")?",
    r"opt(?:ing)? ?out|opt me out",
    r"(?:(?:i )?(?:revoke|withdraw) )(?:my |all )?consent",
    r"remove|(?:remove|delete) (?:me|us|(?:my|this) number)(?: from " + _LIST + r")?",
    r"(?:take|get) (?:me|us|(?:my|this) number) off(?: (?:of )?" + _LIST + r")?",
    r"(?:stop|quit|cease) (?:texting|messaging|contacting|sending|spamming|bothering)(?: me| us)?"
    r"(?: " + _TEXTS + r"|(?: again| any ?more)+)?",
    r"stop " + _TEXTS,
    r"(?:do not|dont|never) (?:text|message|contact|sms|msg|txt)(?: me| us| this number)(?: again| any ?more)*",
    r"(?:do not|dont) send (?:me |us )?" + _TEXTS,
    r"no more " + _TEXTS,
    r"(?:i )?(?:do not|dont) want (?:to (?:receive|get) )?" + _TEXTS,
    r"(?:i )?(?:want|wish|would like|id like) to (?:stop|opt ?out|unsubscribe|cancel|quit)(?: receiving)?"
    r"(?: " + _TEXTS + r")?",
    r"leave me alone",
    # German
    r"abmelden|abmeldung|abbestellen|austragen|beenden|kundigen|kuendigen|widerruf|widerrufen|ende|abbrechen|stoppen",
    r"aufhoren|aufhoeren|(?:hor|hort|hore|horen sie) (?:bitte )?auf",
    r"(?:ich )?(?:mochte|moechte|will) (?:mich )?(?:bitte )?(?:abmelden|austragen)",
    r"(?:melde|melden sie|meldet) mich (?:bitte )?ab",
    r"(?:(?:ich )?(?:mochte|moechte|will) )?keine (?:sms|nachrichten|codes|texte) mehr"
    r"(?: (?:schicken|senden|erhalten))?",
    r"(?:schick|schickt|schicken sie|sende|sendet|senden sie) mir (?:bitte )?keine (?:sms|nachrichten|codes) mehr",
    # French
    r"arret|arrets|arreter|arrete|arretez(?: (?:les|vos|tous les|ces) (?:sms|messages|textos|envois))?",
    r"(?:arret|stop) (?:sms|pub|messages|textos)",
    r"(?:arrete|arretez) de (?:menvoyer|mecrire|envoyer)(?: (?:des|vos|ces) (?:sms|messages|textos|codes))?",
    r"(?:me )?desabonner|desabonnement|desabonnez moi|(?:me )?desinscrire|desinscription|desinscrivez moi",
    r"annuler|annulez|annulation|fin|resilier|revoquer|retirer|retirez moi(?: de (?:la|votre) liste)?",
    r"plus (?:de|aucun) (?:sms|messages?|textos?|codes?)|ne plus recevoir(?: de (?:sms|messages|textos))?",
    r"ne (?:menvoyez|mecrivez) plus(?: (?:rien|de (?:sms|messages|textos|codes)))?",
    r"je ne veux plus (?:recevoir )?(?:de|vos|ces) (?:sms|messages|textos|codes)",
    # Spanish
    r"parar|pare|paren|alto|detener|detenga|basta|terminar|salir|revocar|eliminar|eliminame|borrame|quitame|quitenme",
    r"baja|(?:quiero )?(?:darme|dar|dame|deme|denme) de baja|desuscribir|desuscribirme|desuscribirse",
    r"cancelar|cancela|cancele|cancelar (?:la )?suscripcion|anular (?:la )?suscripcion",
    r"no mas(?: (?:mensajes|sms|textos|codigos))?",
    r"no (?:me )?(?:envien|envie|envies|manden|mande|mandes|escriban) mas(?: (?:mensajes|sms|textos|codigos))?",
    r"dejen? de (?:enviar|enviarme|mandar|mandarme|escribirme)(?: (?:mensajes|sms|textos|codigos))?",
    r"no quiero (?:recibir )?mas (?:mensajes|sms|textos|codigos)",
    # Italian
    r"ferma|fermare|fermati|fermate|fermatevi|annulla|annullare|termina|esci|revoca|revocare|interrompi",
    r"disiscrivi|disiscrivimi|disiscrivermi|disiscrizione|rimuovi|rimuovimi|rimuovetemi",
    r"cancella|cancellami|cancellare|cancellatemi|basta (?:sms|messaggi)|stop messaggi",
    r"non (?:mandatemi|inviatemi|scrivetemi|mandarmi|inviarmi|scrivermi) piu(?: (?:sms|messaggi|codici))?",
    r"(?:smetti|smettete|smettetela) di (?:scrivermi|mandarmi|inviarmi)(?: (?:sms|messaggi|codici))?",
    r"niente piu (?:sms|messaggi|codici)|non voglio piu (?:ricevere )?(?:sms|messaggi|codici)",
    # Portuguese: many who live where we send speak it
    r"sair|remover|descadastrar|cancelar inscricao|nao quero mais (?:receber )?(?:mensagens|sms)",
)

START = (
    r"start|unstop|un stop|opt ?in|opting in|opt me (?:back )?in|resubscribe|re subscribe|subscribe|subscribe me",
    r"start (?:texting|messaging) me(?: again)?",
    r"starten|demarrer|iniciar|inizia",
)

HELP = (r"help|help me|info|hilfe|aide|ayuda|aiuto|ajuda",)

DENIAL = (
    # English
    r"no|nope|not me|not mine",
    r"(?:no )?(?:it|that|this) (?:was not|wasnt|is not|isnt|was never) (?:me|mine)",
    r"(?:no )?(?:wasnt|was not) me|no not me",
    r"(?:that|it)s not (?:me|mine)|thats not me|its not me",
    r"i (?:did not|didnt|never|have not|havent) (?:request|requested|ask for|asked for|order|ordered|do|did|done|make)"
    r" (?:this|that|it|a code|any code|the code|this code|one|anything)",
    r"i (?:did not|didnt) (?:request|ask)|(?:did not|didnt|not) request(?:ed)?(?: (?:this|it|by me))?",
    r"i (?:did not|didnt|am not|im not) (?:log|logging|sign|signing) in",
    # German
    r"nein|nicht ich|ich nicht|(?:nein )?(?:das|es) (?:war|bin) ich nicht|(?:das )?(?:war|bin) ich nicht",
    r"ich (?:war|wars|bin) (?:das |es )?nicht|nicht von mir|kommt nicht von mir|(?:das )?ist nicht von mir",
    r"(?:das )?(?:habe|hab) ich nicht (?:angefordert|bestellt|beantragt)|nicht (?:von mir )?angefordert",
    r"ich (?:habe|hab) (?:das|es|den code|diesen code) nicht (?:angefordert|bestellt|beantragt)",
    r"ich (?:habe|hab) (?:keinen code|nichts) (?:angefordert|bestellt|beantragt)",
    # French
    r"non|pas moi|(?:non )?(?:ce )?(?:nest|netait) pas moi|(?:non )?(?:cest|cetait) pas moi",
    r"je (?:nai|ne lai|lai) pas demande(?: (?:ca|cela|ceci|ce code|de code|un code))?",
    r"jai (?:rien|pas) demande(?: (?:ca|cela|ceci|ce code|de code))?|je nai rien demande",
    # Spanish
    r"(?:no )?no (?:soy|fui|era|he sido) yo|(?:yo )?no (?:fui|he sido)|yo no|yo no (?:fui|era|he sido)",
    r"(?:yo )?no (?:lo )?(?:solicite|pedi|he solicitado|he pedido)"
    r"(?: (?:esto|eso|nada|este codigo|ningun codigo|codigo))?",
    # Italian
    r"non (?:sono|ero) (?:stat[oa] )?io|io no|(?:no )?non io",
    r"(?:io )?non (?:ho|lho) (?:richiesto|chiesto)"
    r"(?: (?:io|questo|niente|nulla|il codice|questo codice|nessun codice))?",
)

COURTESY = (
    r"please|pls|plz|kindly|thanks|thank you|thank u|thx|ty|many thanks|cheers|hi|hello|hey|hi there|ok|okay|now|"
    r"immediately|right now|at once|asap|just|sir|team|guys|regards|best regards|kind regards|best|sincerely|"
    r"have a (?:nice|good|great) day|wrong number",
    r"bitte|danke|vielen dank|hallo|sofort|jetzt|mfg|mit freundlichen grussen|viele grusse|gruss",
    r"svp|stp|sil vous plait|sil te plait|merci|bonjour|maintenant|cordialement",
    r"por favor|gracias|muchas gracias|hola|ahora|ya|saludos",
    r"per favore|per piacere|grazie|ciao|adesso|subito|cordiali saluti",
    r"obrigado|obrigada|ola",
)

STOP_WORDS = frozenset(
    (
        *("stop", "stopp", "stopall", "stopping", "unsubscribe", "unsub", "quit", "cancel", "end", "revoke", "optout"),
        *("opt", "remove", "arret", "arreter", "arretez", "desabonner", "desinscrire", "abmelden", "abbestellen"),
        *("parar", "pare", "alto", "baja", "cancelar", "detener", "ferma", "fermare", "annulla", "disiscrivi"),
    )
)
"""A reply that has one of these and is not understood is put on record."""


@cache
def pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Matches a text that consists of these phrases and nothing else: one, or several after one another."""
    one = "(?:" + "|".join(phrases) + ")"
    return re.compile(rf"{one}(?: (?:and |or |und |et |y |e )?{one})*")


def edges(phrases: Sequence[str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Match these phrases at the beginning and at the end of a text."""
    one = "(?:" + "|".join(phrases) + ")"
    return re.compile(rf"(?:{one} )+|{one}$"), re.compile(rf"(?: {one})+$")
