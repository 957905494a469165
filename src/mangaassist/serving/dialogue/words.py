"""Words that every shopper uses, so that they never count as part of a title on their own."""

from __future__ import annotations

from typing import Final

_EVERYDAY_TEXT = """
a an the this that these those it its he she they them his her their there here i im ive id ill me my
mine myself you your yours u ur ya we our us who whom whose what whats which when where why how is isnt
are arent was wasnt were be been being am do does dont doesnt did didnt done has have had havent hasnt
can cant could couldnt will wont would wouldnt should shall may might must let lets and or but not no nor
nope yes yeah yep ok okay so if then than as at by for from in into of off on onto out over to too up
down under with without within about after before again against because until while since during all any
both each every few more most much many other others another some such same own only just even also still
yet ever never always now today tonight soon later first second third last next new old one ones two
three four five six seven eight nine ten thing things something anything nothing everything someone
anyone want wants wanted need needs like likes liked love loves loved enjoy enjoyed hate hates get gets
got getting give gives given gave go goes going gone come comes make makes made take takes say says said
tell tells told know knows think thinks find found look looks looking looked read reads reading reader
see sees seen saw watch watched watching show shows buy buys buying bought sell sells selling sold order
orders ordered ship ships shipping shipped send sent stock stocked stocks carry carries try tries tried
start starts end ends ended finish finished complete completed ongoing available availability good great
nice best better well bad worse worst favorite favourite cool awesome fine real really very quite pretty
big small long longer short shorter older newer cheap cheaper expensive easy hard right wrong sure maybe
please pls plz thanks thank thx hi hello hey sorry day days week weeks month months year years time times
life way ways lot lots bit kind sort type types people person man men woman women boy boys girl girls kid
kids child children son daughter mom mum dad friend friends wife husband girlfriend boyfriend sister
brother niece nephew mother father family teen teens adult adults age aged manga mangas mangaka anime
animes manhwa manhua comic comics book books novel novels series title titles story stories volume
volumes vol vols chapter chapters edition editions set sets box boxes copy copies page pages author
authors artist artists writer art cover covers hardcover paperback softcover digital ebook kindle deluxe
omnibus collector collectors print printed english japanese french german spanish language version
versions price prices cost costs dollar dollars usd euro euros eur buck bucks money budget gift gifts
store shop site website online account card code cart checkout payment pay paid delivery return returns
refund recommend recommended recommendation recommendations recs rec suggest suggestion suggestions
similar name names called list top else instead together alone back thoughts opinion worth fan fans happy
sad touch limit wish happiness pink orange x wonderful perfect game world place home question questions
answer help helps work works number numbers word words shounen shonen shoujo shojo seinen josei isekai
yuri yaoi bl gl romance horror comedy action fantasy drama mystery thriller sports scifi supernatural
adventure psychological historical slice wanna gonna gotta lemme gimme whatcha dunno smth sth omg lol btw
idk tbh asap fyi rn abt bc cuz sensei senpai sama san kun chan senshu osusume kudasai desu arigato
arigatou onegai sayonara itadakimasu monday tuesday wednesday thursday friday saturday sunday january
february march april june july august september october november december yesterday tomorrow morning
evening night goodnight goodbye bye cheers batman spiderman superman marvel figure figures poster posters
toys cosplay merch movie movies film season cat cats dog dogs car phone mobile email password legal human
manager agent robot bot mate half double quick slow dark light funny scary gentle violent mature gory
spooky cozy cosy wholesome gimmie hit pick choose decide between difference compare versus vs mean means
meant
"""
EVERYDAY: Final = frozenset(_EVERYDAY_TEXT.split())

NUMBER_WORDS: Final = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50,
}  # fmt: skip

ORDINAL_WORDS: Final = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
    "ninth": 9, "tenth": 10,
}  # fmt: skip
