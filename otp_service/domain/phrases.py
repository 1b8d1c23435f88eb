"""What people write to opt out, to opt in, for help and for "that wasn't me": whole messages, by language.

The words are the FCC's (47 CFR 64.1200(a)(10)), the CTIA's, those of French Canada, and those of the languages that
we send in. Written as `replies` compares them: lower case, no accents, no apostrophes, one blank between words.
Parts in brackets may be left out; nothing else is guessed.
"""

import re
from collections.abc import Sequence
from functools import cache

from . import sentences

_TEXTS = (
    r"(?:(?:these|those|this|that|your|the|all|any|more|such|me|of) )*"
    r"(?:(?:verification|login|security|one time) )?"
    r"(?:text message|text|message|msg|txt|sms|code|spam|alert|notification)s?"
    r"(?: messages?)?(?: any ?more| again| from you| to me| to (?:this|my) (?:number|phone|cell))*"
)
_LIST = r"(?:your|ur|the|this|that|all|any)(?: (?:list|lists|database|system|texts?|messages?|sms|service|alerts?))?"

STOP = (
    # English
    r"s+t+[o0]+p+(?: it| this| that| all| everything)?|(?:stop){2,}",
    r"stopall",
    r"(?:opt me out of|remove me from|unsubscribe(?: me)? from|stop) (?:everything|all(?: of (?:it|this|that))?"
    r"|list|lists)",
    r"stop ?(?:2|to) ?(?:end|quit|cancel|stop|unsubscribe|opt ?out)",
    r"quit|end|cancel|cease|revoke",
    r"un ?subs?cri?be?(?:d| all)?|unsubcribe|unsubscibe|unsubscribing|2 ?stop",
    r"unsub|unsubscribe(?: all| me| us)?(?: (?:this|my) (?:number|phone|cell))?(?: from " + _LIST + r")?",
    r"unsubscribe(?: (?:me|us))? from " + _TEXTS,
    r"(?:i )?opt(?:ing)? ?out(?: all| (?:of|from) " + _TEXTS + r")?|opt (?:me|us) out(?: of " + _TEXTS + r")?",
    r"(?:(?:i )?(?:do not|dont) |(?:i )?no longer )(?:give (?:my |you )?)?consent|consent (?:revoked|withdrawn)"
    r"|(?:i )?want (?:out|off)(?: of)?(?: (?:this|that|the|your) list)?"
    r"|(?:go|get) away|end all|enough|thats enough",
    r"(?:end|cancel|quit) (?:(?:all|these|those|the|my|your) )?(?:texts?|text messages|messages|messaging|sms|codes)",
    r"no more|quit it|cut it out|lose (?:my|this) number|(?:cease and )?desist|cancel all",
    r"(?:cancel|end) (?:(?:all|my|the|these|your) )?(?:subscriptions?|alerts?|notifications?)",
    r"stop sending (?:me|us) (?:these|those|this|that|them)|stop (?:with|w) the (?:texts|messages|codes)",
    r"(?:i )?(?:hereby )?(?:revoke|withdraw)(?: my| all)? consent|i revoke|leave (?:me|us) be",
    r"remove|remove from (?:the )?list",
    r"(?:remove|delete|erase) (?:me|us|(?:my|this) (?:phone |cell )?number)(?: from " + _LIST + r")?",
    r"(?:take|get) (?:me|us|(?:my|this) number) off(?: (?:of )?" + _LIST + r")?",
    r"(?:stop|quit|cease|desist) (?:(?:calling|texting|txting|messaging|contacting|sending|spamming|bothering"
    r"|harassing|annoying)"
    r"(?: and )?)+(?: me| us| (?:this|my) (?:number|phone|cell)| these| those| them)?"
    r"(?: " + _TEXTS + r"|(?: again| any ?more)+)?",
    r"stop " + _TEXTS,
    r"(?:do not|dont|never)(?: ever)? (?:text|message|contact|sms|msg|txt)(?: me| us| this number)?(?: ever)?"
    r"(?: again| any ?more)*",
    r"(?:do not|dont) send (?:me |us )?" + _TEXTS,
    r"no more " + _TEXTS,
    r"(?:i )?(?:do not|dont|no longer) (?:want|wish)(?: to (?:receive|get))? " + _TEXTS,
    r"(?:i )?(?:wanna|(?:want|wish|would like|id like) to) (?:stop|opt ?out|unsubscribe|cancel|quit)(?: receiving)?"
    r"(?: " + _TEXTS + r")?",
    r"leave (?:me|us) alone",
    # German
    r"abmelden|abmeldung|abbestellen|austragen|beenden|kundigen|kuendigen|widerruf|widerrufen|ende|abbrechen|stoppen",
    r"stopp(?:t|e|en|en sie)|stop das|stopp (?:sms|nachrichten|codes)|(?:stoppe|stoppt|stoppen sie) (?:das|(?:die"
    r"|diese) (?:sms|nachrichten|codes))",
    r"schluss(?: (?:jetzt|damit))?|(?:sms|nachrichten) abbestellen|kontakt loschen",
    r"(?:entfernen sie|entfernt|entferne|streichen sie|nehmen sie|nehmt) mich(?: (?:bitte )?(?:aus|von) (?:der"
    r"|ihrer|eurer) liste)?",
    r"aufhoren|aufhoeren|(?:hor|hort|hoert|hore|horen sie) (?:bitte )?auf(?:(?: mir)? (?:(?:sms|nachrichten"
    r"|codes) )?zu "
    r"(?:schreiben|schicken|senden))?|mir (?:sms|nachrichten|codes) zu (?:schreiben|schicken|senden)",
    r"lass(?:t|en sie)? mich (?:bitte )?in ruhe|nicht mehr (?:schreiben|schicken|senden)",
    r"(?:losch|losche|loscht|loschen sie|loeschen sie|entfernen sie|entfernt|entferne) (?:bitte )?meine nummer",
    r"(?:bitte )?(?:(?:ich )?(?:mochte|moechte|will) )?keine weiteren (?:sms|nachrichten|codes|texte)(?: mehr)?"
    r"(?: (?:erhalten|bekommen|empfangen|haben))?",
    r"(?:meine )?nummer (?:bitte )?(?:loschen|entfernen|streichen)|(?:hor|hort"
    r"|horen sie) (?:bitte )?(?:auf )?damit(?: auf)?",
    r"kundigung|kuendigung|einwilligung widerrufen|ich widerrufe(?: (?:hiermit )?(?:meine|die) (?:einwilligung"
    r"|zustimmung))?"
    r"|widerruf (?:der|meiner) (?:einwilligung|zustimmung)",
    r"(?:schreib|schreibt|schreiben sie|schick|schickt|schicken sie|sende|sendet"
    r"|senden sie) mir (?:bitte )?(?:nicht|nichts)"
    r" mehr|(?:kontaktiere|kontaktiert|kontaktieren sie|belastige|belastigt"
    r"|belastigen sie) mich (?:bitte )?nicht(?: mehr)?",
    r"(?:ich )?(?:mochte|moechte|will) (?:mich )?(?:bitte )?(?:abmelden|austragen)",
    r"(?:melde|melden sie|meldet) mich (?:bitte )?ab",
    r"(?:(?:ich )?(?:mochte|moechte|will) )?keine (?:sms|nachrichten|codes|texte) mehr(?: von (?:ihnen|euch|dir))?"
    r"(?: (?:schicken|senden|erhalten|bekommen|empfangen|haben))?",
    r"(?:schick|schickt|schicken sie|sende|sendet|senden sie) mir (?:bitte )?keine (?:sms|nachrichten|codes) mehr",
    # French
    r"arret|arrets|arreter|arrete|arretez(?: (?:les|vos|tous les|ces) (?:sms|messages|textos|envois))?",
    r"(?:arret|stop) (?:(?:aux|les|ces) )?(?:sms|pub|messages|textos?)|(?:arrete|arretez) (?:ca|cela"
    r"|de (?:me )?texter)",
    r"arreter (?:les|vos|ces|tous les) (?:sms|messages|textos|envois)|(?:fichez|foutez) moi la paix|ca suffit",
    r"(?:arrete|arretez) (?:de |d)(?:menvoyer|mecrire|me contacter|me deranger|envoyer)(?: (?:des|vos|ces) (?:sms"
    r"|messages|textos|codes))?",
    r"veuillez arreter(?: (?:les|vos|ces) (?:sms|messages|textos|envois))?|laissez moi tranquille",
    r"(?:supprimer|supprimez|enlevez|effacez|retirez|retirer)(?: (?:mon numero|moi))?(?: de (?:la|votre) liste)?",
    r"(?:je (?:veux|voudrais|souhaite) )?(?:me |se )?(?:desabonner|desinscrire)|je me (?:desabonne|desinscris)",
    r"ne me (?:contactez|contacte|derangez|derange|textez) plus|(?:cessez|arretez) tout(?: envoi)?",
    r"desabonnement|(?:desabonnez|desabonne|desabonner) moi|desinscription|(?:desinscrivez|desinscris) moi|laisse moi"
    r" tranquille",
    r"annuler|annulez|annulation|fin|resilier|revoquer|retirer|retirez moi(?: de (?:la|votre) liste)?",
    r"plus (?:de|aucun) (?:sms|messages?|textos?|codes?)|ne plus recevoir(?: de (?:sms|messages|textos))?",
    r"ne (?:menvoyez|mecrivez) plus(?: (?:rien|de (?:sms|messages|textos|codes)))?",
    r"je ne (?:veux|souhaite|desire) plus (?:recevoir |avoir )?(?:de|vos|ces) (?:sms|messages|textos|codes)",
    # Spanish
    r"\Apara\Z|parar|pare|paren|alto|detener|detenga|detengase|detente|basta|terminar|salir|revocar|eliminar"
    r"|eliminame|borrame|borrenme"
    r"|quitame|quitenme|desuscribanme",
    r"(?:solicito |pido |quiero )?(?:la |mi )?baja|(?:quiero )?(?:darme|darse|date|dar|dame|deme"
    r"|denme) de baja(?: de (?:la|su|esta) lista)?|desuscribir|desuscribirme|desuscribirse",
    r"(?:quiero )?cancelar|cancela|cancele|cancelar (?:la )?suscripcion|anular (?:la )?suscripcion",
    r"no mas(?: (?:mensajes|sms|textos|codigos))?",
    r"no (?:me )?(?:envien|envie|envies|enviar|manden|mande|mandes|mandar|escriban|escribir) mas"
    r"(?: (?:mensajes|sms|textos|codigos))?",
    r"no me (?:envien|envie|envies|manden|mande|mandes) (?:mensajes|sms|textos|codigos)",
    r"(?:quiero )?dejar de recibir (?:mensajes|sms|textos|codigos)|dejenme en paz",
    r"(?:borrar|borren|borre|borra|eliminar|eliminen|elimine|elimina|quiten|quite|quita) mi numero"
    r"(?: de (?:la|su|esta) lista)?",
    r"(?:quitenme|quiteme|quitame|eliminenme|elimineme|eliminame|borrenme|borreme|borrame|saquenme|saqueme|sacame)"
    r" de (?:la|su|esta) lista|cancelen|cese|para ya",
    r"no me (?:contacten|contacte|contactes|molesten|moleste|molestes)(?: mas)?|no molest(?:ar|en|e|es)(?: mas)?",
    r"(?:dej(?:a|e|en)|pare|paren|para) de (?:molestar|molestarme|enviar|enviarme|mandar|mandarme"
    r"|escribirme)(?: (?:mensajes|sms"
    r"|textos|codigos))?",
    r"(?:ya )?no (?:quiero|deseo) (?:recibir )?(?:mas )?(?:mensajes|sms|textos|codigos)",
    r"(?:detener|detenga|parar|paren|cesen|quiero cancelar) (?:los |estos )?(?:mensajes|sms|textos|codigos)",
    # Italian
    r"ferma|fermare|fermati|fermate|fermatevi|annulla|annullare|termina|esci|revoca|revocare|interrompi",
    r"disiscrivi|disiscriviti|disiscrivimi|disiscrivermi|disiscrizione|rimuovi|rimuovimi|rimuovetemi",
    r"(?:ferma|fermate|fermare) (?:(?:i|gli|questi) )?(?:sms|messaggi|codici)|cancella(?:re)? (?:la )?iscrizione",
    r"annulla(?:re)? (?:la )?iscrizione|(?:voglio |vorrei )disiscrivermi|disiscrivetemi|lascia(?:te)?mi in pace"
    r"|smettetela|smettila",
    r"(?:cancella|elimina|rimuovi|togli)(?:te)? il mio numero(?: dalla (?:vostra )?lista)?|disdici|disdire|disdetta",
    r"eliminate il mio numero|rimuovete il mio numero|cancellatemi(?: dalla (?:vostra )?lista)?",
    r"cancella|cancellami|cancellare|basta (?:con )?(?:(?:questi|i|gli) )?(?:sms|messaggi|codici)|stop messaggi",
    r"non (?:contattatemi|contattarmi|disturbatemi|disturbarmi)(?: piu)?",
    r"non (?:mandatemi|inviatemi|scrivetemi|mandarmi|inviarmi|scrivermi) piu(?: (?:sms|messaggi|codici))?",
    r"(?:smetti|smettila|smettete|smettetela) di (?:scrivermi|mandarmi|inviarmi)(?: (?:sms|messaggi|codici))?",
    r"basta cosi|(?:toglietemi|toglimi|rimuovetemi|rimuovimi) dalla (?:vostra )?lista|toglietemi",
    r"stop (?:agli|ai) (?:sms|messaggi|codici)|non (?:desidero|voglio) piu ricevere (?:sms|messaggi|codici)",
    r"niente piu (?:sms|messaggi|codici)|non voglio (?:piu )?(?:ricevere )?(?:piu |altri )?(?:sms|messaggi|codici)",
    # Portuguese: many who live where we send speak it
    *sentences.STOP,
    r"parem? de me (?:mandar|enviar) (?:mensagens|sms|codigos)|removam? (?:o )?meu numero|me (?:tirem?"
    r"|removam?) da lista|parem",
    r"nao (?:me )?(?:mandem?|enviem?) (?:mais )?(?:mensagens|sms|codigos)(?: mais)?|nao quero (?:receber )?mais"
    r" (?:mensagens|sms)",
    r"sair|remover|descadastrar|cancelar inscricao|nao quero mais (?:receber )?(?:mensagens|sms)",
)

START = (
    r"start|unstop|un stop|opt ?in|opting in|opt me (?:back )?in|resubscribe|re subscribe|subscribe|subscribe me",
    r"resubscribe me|start again|start (?:texting|messaging)(?: me)?(?: again)?",
    r"start (?:the )?(?:texts|messages|codes)",
    r"starten|demarrer|iniciar|inizia",
)

HELP = (r"help|help me|info|hilfe|aide|ayuda|aiuto|ajuda",)

DENIAL = (
    *sentences.DENIAL,
    # English
    r"n[o0]+|nope|nah|not (?:by )?me|not mine|not my (?:code|login|request|account)|wrong person",
    r"(?:its |thats )?(?:someone|somebody) else|deny it|no its not|un ?authori[sz]ed login|(?:someone"
    r"|somebody) hacked me",
    r"no way|hell no|absolutely not|no (?:maam|sir)|(?:no )?i (?:did not|didnt)|deny|denied|reject|rejected|decline",
    r"you have the wrong person|(?:(?:that|this|it) was )?(?:someone|somebody) else",
    r"(?:(?:someone|somebody)(?: else)? is|they are) (?:trying to )?(?:log|logging|sign|signing|get"
    r"|getting) in(?: ?to my account)?",
    r"(?:someone|somebody)(?: else)? is using my (?:number|phone|account)",
    r"(?:someone|somebody) is (?:trying to )?hack(?:ing)? (?:me|my account)|i(?:m| am) being hacked|ive been hacked",
    r"(?:not |un)authori[sz]ed(?: by me)?|i (?:did not|didnt|never) authori[sz]ed?(?: (?:this|that|it))?",
    r"(?:that|this) (?:login|code|request) (?:wasnt|was not|isnt|is not) (?:me|mine|from me)",
    r"(?:that|this|it)(?: wasnt| isnt) my (?:code|login|request|account)",
    r"(?:(?:thats|its|(?:that|this|it) (?:is|was)) )?not me (?:logging|signing) in",
    r"(?:that|this|it) (?:wasnt|isnt) me (?:logging|signing) in|no (?:it|that|this) (?:was not|wasnt|is not|isnt)",
    r"(?:that|this|it)(?:s| is| was) not my (?:code|login|request|account)",
    r"(?:no )?(?:it|that|this) (?:was not|wasnt|is not|isnt|was never) (?:me|mine)",
    r"(?:no )?(?:wasnt|was not) me|no not me",
    r"(?:that|it)s not (?:me|mine)|thats not me|its not me",
    r"i (?:did not|didnt|never|have not|havent) (?:request|requested|ask for|asked for|order|ordered|do|did|done"
    r"|make)"
    r" (?:this|that|it|a code|any code|the code|this code|one|anything)",
    r"i (?:did not|didnt) (?:request|ask)|(?:did not|didnt|not) request(?:ed)?(?: (?:this|it|by me))?",
    r"(?:i (?:did not|didnt|am not|was not|wasnt)|im not) (?:(?:try|trying) to )?(?:(?:log|logging|sign"
    r"|signing) in|login)",
    # German
    r"nee|(?:das bin|war) nicht ich|(?:das war )?jemand anderes|das war (?:jemand anders|nicht von mir)"
    r"|das kommt nicht von mir",
    r"ich (?:habe|hab) nix (?:angefordert|bestellt)|(?:wurde )?nicht von mir (?:angefordert|bestellt|beantragt)",
    r"(?:ich )?(?:habe|hab) (?:keinen|nie einen) code (?:angefordert|bestellt|beantragt)",
    r"(?:den|diesen) code (?:habe|hab) ich nicht (?:angefordert|bestellt|beantragt)"
    r"|ich (?:melde|logge) mich (?:gerade )?nicht (?:an|ein)",
    r"nein|nicht ich|ich nicht|(?:nein )?(?:das|es) (?:war|bin) ich nicht|(?:das )?(?:war|bin) ich nicht",
    r"ich (?:war|wars|bin) (?:das |es )?nicht|nicht von mir|kommt nicht von mir|(?:das )?ist nicht von mir",
    r"(?:nein )?das war nicht ich|ich (?:habe|hab) mich nicht (?:angemeldet|eingeloggt)",
    r"(?:das )?(?:habe|hab) ich nicht (?:angefordert|bestellt|beantragt)|nicht (?:von mir )?angefordert",
    r"ich (?:habe|hab) (?:das|es|den code|diesen code) nicht (?:angefordert|bestellt|beantragt)",
    r"ich (?:habe|hab) (?:keinen code|nichts) (?:angefordert|bestellt|beantragt)",
    # French
    r"non|pas moi|(?:non )?(?:ce )?(?:nest|netait) pas moi|(?:non )?(?:cest|cetait|c) pas moi",
    r"(?:ce )?(?:nest|cest|netait|cetait) pas moi qui (?:ai demande|lai demande)(?: (?:ca|cela|ce code))?"
    r"|pas demande",
    r"(?:cest |cetait )?quelquun dautre|je nessaie pas de me connecter",
    r"je (?:nai|ne lai|lai) pas demande(?: (?:ca|cela|ceci|ce code|de code|un code))?",
    r"je (?:nai|nai pas|ne suis) (?:pas )?(?:fait|a lorigine de) (?:cette|la) (?:demande|connexion)",
    r"ce nest pas moi qui me connecte|je ne me connecte pas|je nai pas (?:essaye|tente) de me connecter",
    r"jai (?:rien|pas) demande(?: (?:ca|cela|ceci|ce code|de code))?|je nai rien demande",
    # Spanish
    r"\A(?:es |fue |era )?otra persona\Z|yo no soy",
    r"(?:no )?no (?:soy|fui|era|he sido) yo|(?:yo )?no (?:fui|he sido)|yo no|yo no (?:fui|era|he sido)",
    r"no (?:lo )?reconozco(?: (?:esto|este codigo|este acceso))?|no autorizo(?: (?:esto|nada))?|no autorizado",
    r"(?:yo )?no (?:fui|soy|he sido) yo quien (?:lo |la )?(?:pidio|solicito|ha pedido|ha solicitado)",
    r"(?:yo )?no (?:lo )?(?:solicite|pedi|he solicitado|he pedido)"
    r"(?: (?:esto|eso|nada|este codigo|ningun codigo|codigo))?(?: yo)?",
    r"(?:yo )?no (?:estoy|estaba) (?:intentando (?:entrar|acceder|iniciar sesion)|entrando|iniciando sesion)",
    # Italian
    r"non (?:sono|ero) (?:stat[oa] )?io|io no|(?:no )?non io",
    r"non sono io che (?:ho|lho) (?:richiesto|chiesto)(?: (?:il codice|questo codice))?|non ho fatto io (?:la"
    r"|questa) richiesta",
    r"non sono stat[oa] io a (?:richiederlo|chiederlo|farlo)",
    r"(?:io )?non (?:ho|lho) (?:richiesto|chiesto)"
    r"(?: (?:io|questo|niente|nulla|il codice|questo codice|(?:nessun|alcun) codice))?",
    r"\A(?:e |era )?qualcun altro\Z",
    r"non sto (?:(?:provando|cercando) (?:ad?|di) (?:accedere|entrare)|accedendo|entrando)",
    # Portuguese
    r"(?:eu )?nao (?:solicitei|pedi)(?: (?:isso|isto|nada|(?:este|esse|nenhum) codigo|codigo nenhum))?|nao reconheco",
    r"nao(?: fui eu| sou eu)?",
)

COURTESY = (
    r"please|pls|plz|kindly|thanks|thank you|thank u|thx|ty|many thanks|cheers|hi|hello|hey|hi there|ok|okay|now|"
    r"immediately|right now|at once|asap|just|sir|team|guys|regards|best regards|kind regards|best|sincerely|"
    r"have a (?:nice|good|great) day|(?:(?:i think )?(?:you|u)(?:ve| have)? (?:got |have )?(?:the |a )?"
    r"|this is the |this is a )?"
    r"wrong number|this is not my number|so much|very much|re",
    r"already|for ?ever|permanently|for good|ever again|please and thank you|tks|(?:this is|its) spam",
    r"i (?:do not|dont) have an account(?: (?:with you|here))?|i (?:do not|dont) know who (?:this is|you are)",
    r"i (?:did not|didnt|never) sign(?:ed)? up(?: for (?:this|these|that|it))?|who (?:is|are) (?:this|you"
    r"|doing this)|dude|bro|man|maam|(?:im )?(?:so )?sorry|(?:i am |im )?not interested|i (?:do not|dont) know you",
    r"entschuldigung|tut mir leid|kein interesse|bitte|danke|vielen dank|hallo|sofort|jetzt|mfg"
    r"|mit freundlichen grussen|viele grusse|gruss",
    r"desolee?|pas interessee?|svp|stp|sil vous plait|sil te plait|merci|bonjour|maintenant|cordialement",
    r"lo siento|perdon|disculpen?|no me interesa|por favor|gracias|muchas gracias|hola|ahora|ya|saludos",
    r"scus(?:a|i|ate)|mi dispiace|non mi interessa|per favore|per piacere|grazie|ciao|adesso|subito|cordiali saluti",
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
    return re.compile(rf"(?:{one} )*{one}$|(?:{one} )+"), re.compile(rf"(?: {one})+$")
