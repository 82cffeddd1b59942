"""Faults of a conversation, a template or a tokenizer, in English and Arabic."""

from __future__ import annotations

from bimedix2.errors import BiMediX2Error


class ChatError(BiMediX2Error):
    """A conversation cannot be turned into tokens. ``code`` says why; see :data:`CODES`."""

    code = "bad_chat"


CODES: dict[str, tuple[str, str]] = {
    "empty_conversation": (
        "The conversation has no turns. Give at least one user turn.",
        "المحادثة فارغة. أضف رسالة واحدة على الأقل من المستخدم.",
    ),
    "no_user_turn": (
        "The conversation has no user turn. Add the user's question.",
        "لا توجد رسالة من المستخدم في المحادثة. أضف سؤال المستخدم.",
    ),
    "bad_turn_order": (
        "Turn {turn} ({role}) is out of place: {why}.",
        "الرسالة {turn} ({role}) في غير موضعها: {why_ar}.",
    ),
    "image_out_of_range": (
        "Turn {turn} refers to image {image}, but the conversation has {count} image(s). "
        "Image numbers start at 0; add the image or correct the number.",
        "تشير الرسالة {turn} إلى الصورة {image}، لكن عدد صور المحادثة {count}. "
        "يبدأ ترقيم الصور من 0؛ أضف الصورة أو صحح الرقم.",
    ),
    "image_outside_user_turn": (
        "Turn {turn} ({role}) carries an image. Only user turns may: move the image to one.",
        "تحمل الرسالة {turn} ({role}) صورة. لا يسمح بالصور إلا في رسائل المستخدم، فانقلها إلى إحداها.",
    ),
    "prompt_too_long": (
        "The last question alone takes {length} tokens, more than the limit of {limit}. "
        "Shorten the text, use fewer images or raise the limit.",
        "السؤال الأخير وحده يشغل {length} رمزا، أي أكثر من الحد {limit}. اختصر النص أو قلل عدد الصور أو ارفع الحد.",
    ),
    "unknown_template": (
        "There is no chat template named {name!r}. Choose one of: {known}.",
        "لا يوجد قالب محادثة باسم {name!r}. اختر واحدا من: {known}.",
    ),
    "template_mismatch": (
        "The tokenizer has no token {token!r}, which template {name!r} needs. "
        "Choose the template that the model was trained with.",
        "لا يحتوي المرمز على الرمز {token!r} الذي يحتاجه القالب {name!r}. اختر القالب الذي دُرب به النموذج.",
    ),
    "bad_tokenizer": (
        "This tokenizer cannot be used: {why}. Load a fast tokenizer (tokenizer.json).",
        "لا يمكن استخدام هذا المرمز: {why}. حمل مرمزا سريعا (tokenizer.json).",
    ),
    "bad_text": (
        "Turn {turn} holds broken text (a lone surrogate at character {position}). Remove that character.",
        "تحتوي الرسالة {turn} على نص معطوب (نصف محرف منفرد عند الموضع {position}). احذف ذلك المحرف.",
    ),
    "unencodable_text": (
        "The tokenizer turns {text!r} into a control token, and it cannot be cut. Remove it from the text.",
        "يحول المرمز {text!r} إلى رمز تحكم ولا يمكن تقسيمه أكثر. احذفه من النص.",
    ),
}


def chat_error(code: str, /, **facts: object) -> ChatError:
    """The error named ``code`` with its facts filled in, in both languages."""
    english, arabic = CODES[code]
    return ChatError(english.format(**facts), arabic.format(**facts), code=code)
