"""A chat user on slixmpp, driven by one JSON object a line: orders on standard input, results and events on standard output.

    {"id": 1, "do": "join", "room": "standup@rooms.localhost", "nick": "ann"}
    {"event": "result", "id": 1, "ok": true, "value": ...}
    {"event": "presence", "from": "...", "type": "available", "role": "participant", ..., "xml": "<presence .../>"}

Ends at the end of its input.
"""

import asyncio
import json
import sys
import traceback
from xml.etree import ElementTree

import slixmpp
from slixmpp.exceptions import IqError, PresenceError
from slixmpp.xmlstream import tostring
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

MUC_USER = "{http://jabber.org/protocol/muc#user}"
# Each order ends by itself in this time.
LIMIT = 20


def tell(**event):
    print(json.dumps(event), flush=True)


def described(stanza):
    """What tests look at most, and the whole as XML."""
    xml = stanza.xml
    item = xml.find(f"{MUC_USER}x/{MUC_USER}item")
    attribute = {} if item is None else item.attrib
    statuses = [int(s.get("code", "0")) for s in xml.findall(f"{MUC_USER}x/{MUC_USER}status")]

    def inside(name):
        found = None if item is None else item.find(f"{MUC_USER}{name}")
        return found

    actor, reason = inside("actor"), inside("reason")
    error = xml.find("{jabber:client}error")
    return {
        "from": str(stanza["from"]),
        "nick": stanza["from"].resource,
        "type": xml.get("type", "available" if stanza.name == "presence" else "normal"),
        "id": xml.get("id"),
        "role": attribute.get("role"),
        "affiliation": attribute.get("affiliation"),
        "jid": attribute.get("jid"),
        "new_nick": attribute.get("nick"),
        "actor": None if actor is None else (actor.get("nick") or actor.get("jid")),
        "reason": None if reason is None else reason.text,
        "statuses": statuses,
        "body": xml.findtext("{jabber:client}body"),
        "subject": xml.findtext("{jabber:client}subject"),
        "delayed": xml.find("{urn:xmpp:delay}delay") is not None,
        "condition": None if error is None or len(error) == 0 else error[0].tag.rpartition("}")[2],
        "xml": tostring(xml),
    }


class User(slixmpp.ClientXMPP):
    def __init__(self, jid, password):
        super().__init__(jid, password, sasl_mech="PLAIN")
        # Per room: done when a join is answered with an error.
        self.refused = {}
        self.enable_starttls = False
        self.enable_direct_tls = False
        self.enable_plaintext = True
        self.plugin["feature_mechanisms"].unencrypted_plain = True
        for name in ("xep_0030", "xep_0045", "xep_0199"):
            self.register_plugin(name)
        for name in ("presence", "message"):
            matcher = MatchXPath(f"{{jabber:client}}{name}")
            self.register_handler(Callback(f"tell {name}", matcher, self.told))
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("disconnected", lambda _: tell(event="disconnected"))
        self.add_event_handler("failed_all_auth", lambda _: tell(event="refused"))

    def told(self, stanza):
        tell(event=stanza.name, **described(stanza))
        refused = self.refused.get(stanza["from"].bare)
        if stanza.name == "presence" and stanza["type"] == "error" and refused and not refused.done():
            refused.set_result(stanza)

    def started(self, _):
        self.send_presence()
        tell(event="online", jid=str(self.boundjid))

    async def query(self, iq):
        """Sends an IQ; its result as XML."""
        return tostring((await iq.send(timeout=LIMIT)).xml)

    # Orders. Each one's arguments are the order's keys.

    async def do_join(self, room, nick, password=None, history=None):
        muc = self["xep_0045"]
        joining = asyncio.ensure_future(muc.join_muc_wait(room, nick, password=password, maxstanzas=history, timeout=LIMIT))
        # slixmpp takes an error for the end of the join only if it repeats the join's payload, which servers need not do.
        refused = self.refused[room] = asyncio.get_running_loop().create_future()
        await asyncio.wait({joining, refused}, return_when=asyncio.FIRST_COMPLETED)
        if refused.done():
            joining.cancel()
            raise PresenceError(refused.result())
        own, subject, occupants, past = joining.result()
        return {
            "self": described(own),
            "occupants": [described(p) for p in occupants],
            "history": [described(m) for m in past],
            "subject": described(subject),
        }

    async def do_leave(self, room, nick):
        self["xep_0045"].leave_muc(room, nick)

    async def do_nick(self, room, nick):
        self.send_presence(pto=f"{room}/{nick}")

    async def do_say(self, room, text):
        self.send_message(mto=room, mbody=text, mtype="groupchat")

    async def do_tell(self, to, text):
        self.send_message(mto=to, mbody=text, mtype="chat")

    async def do_subject(self, room, text):
        self["xep_0045"].set_subject(room, text)

    async def do_role(self, room, nick, role, reason=""):
        await self["xep_0045"].set_role(room, nick, role, reason=reason, timeout=LIMIT)

    async def do_affiliation(self, room, jid, affiliation, reason=""):
        await self["xep_0045"].set_affiliation(room, affiliation, jid=jid, reason=reason, timeout=LIMIT)

    async def do_affiliations(self, room, affiliation):
        return [str(j) for j in await self["xep_0045"].get_affiliation_list(room, affiliation, timeout=LIMIT)]

    async def do_destroy(self, room):
        await self["xep_0045"].destroy(room, timeout=LIMIT)

    async def do_configure(self, room, values):
        """Reads the owner's form, sets some fields, sends it back; an empty form accepts the defaults."""
        muc = self["xep_0045"]
        form = await muc.get_room_config(room, timeout=LIMIT)
        for name, value in values.items():
            form.get_fields()[name]["value"] = value
        form["type"] = "submit"
        await muc.set_room_config(room, config=form, timeout=LIMIT)

    async def do_info(self, jid, node=None):
        found = (await self["xep_0030"].get_info(jid, node, timeout=LIMIT))["disco_info"]
        fields = {f.get("var"): [v.text for v in f.findall("{jabber:x:data}value")] for f in found.xml.iter("{jabber:x:data}field")}
        return {
            "identities": [[i[0], i[1], i[3]] for i in found["identities"]],
            "features": sorted(found["features"]),
            "fields": fields,
            "xml": tostring(found.xml),
        }

    async def do_items(self, jid):
        found = await self["xep_0030"].get_items(jid, timeout=LIMIT)
        return [[str(jid), name] for jid, _, name in found["disco_items"]["items"]]

    async def do_ping(self, jid):
        await self["xep_0199"].send_ping(jid, timeout=LIMIT)

    async def do_query(self, to, kind, xml):
        """An IQ with any payload."""
        iq = self.make_iq(ito=to, itype=kind)
        iq.append(ElementTree.fromstring(xml))
        return await self.query(iq)

    async def do_raw(self, xml):
        self.send_raw(xml)


async def carry_out(user, order):
    number, name = order.pop("id"), order.pop("do")
    try:
        value = await getattr(user, "do_" + name)(**order)
        tell(event="result", id=number, ok=True, value=value)
    except (IqError, PresenceError) as error:
        tell(event="result", id=number, ok=False, condition=error.condition, text=error.text)
    except Exception as error:
        traceback.print_exc()
        tell(event="result", id=number, ok=False, condition=type(error).__name__, text=str(error))


async def main():
    jid, password, host, port = sys.argv[1:]
    user = User(jid, password)
    user.connect(host, int(port))
    lines = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    running = set()
    while line := await lines.readline():
        task = asyncio.create_task(carry_out(user, json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)
    await user.disconnect(wait=2)


asyncio.run(main())
