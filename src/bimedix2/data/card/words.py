"""Fixed texts of the card, in English and Arabic."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, tuple[str, str]] = {
    "card": ("Data card", "بطاقة البيانات"),
    "use": ("Intended use", "الاستخدام المقصود"),
    "use_text": (
        "Research on bilingual medical vision-language models, teaching, and tests of software around such models.",
        "البحث في النماذج الطبية البصرية اللغوية ثنائية اللغة، والتعليم، واختبار البرامج المتصلة بها.",
    ),
    "use_not": (
        "Not for diagnosis, treatment or triage, nor for training a model that is used on patients without a "
        "clinician's own validation.",
        "ليست للتشخيص أو العلاج أو فرز الحالات، ولا لتدريب نموذج يستخدم مع المرضى دون تحقق سريري مستقل.",
    ),
    "glance": ("At a glance", "لمحة"),
    "counts": ("Counts by modality and task", "الأعداد حسب النوع والمهمة"),
    "splits": ("Splits", "الأقسام"),
    "sources": ("Sources and licences", "المصادر والتراخيص"),
    "terms": ("terms", "الشروط"),
    "nc": ("non-commercial", "غير تجاري"),
    "nd": ("no derivatives", "بلا مشتقات"),
    "sa": ("share alike", "بالشروط نفسها"),
    "unclear": ("read the terms", "اقرأ الشروط"),
    "terms_nc": (
        "At least one source forbids commercial use, so the set as a whole is for non-commercial use: {names}.",
        "يمنع مصدر واحد على الأقل الاستخدام التجاري، فالمجموعة كلها لغير الأغراض التجارية: {names}.",
    ),
    "terms_nd": (
        "These allow no derivatives; do not translate, rewrite or redistribute changed copies of their texts: {names}.",
        "هذه لا تسمح بالمشتقات؛ لا تترجم نصوصها ولا تعد صياغتها ولا توزع نسخا معدلة منها: {names}.",
    ),
    "terms_none": (
        "No name of a licence here forbids commercial use or derivatives. Read the terms themselves before use.",
        "لا يمنع اسم أي ترخيص هنا الاستخدام التجاري أو المشتقات. اقرأ الشروط نفسها قبل الاستخدام.",
    ),
    "provenance": ("Where each record has been", "مسار كل سجل"),
    "provenance_note": (
        "As the records themselves say. Tools are package and model names; a version is a release or a prompt.",
        "كما تقول السجلات نفسها. الأدوات أسماء حزم ونماذج، والنسخة إصدار أو صيغة تعليمات.",
    ),
    "line": ("Steps of the build", "خطوات البناء"),
    "line_note": (
        "Records in, out, and set aside or kept and listed, with reasons. The lists name every record.",
        "السجلات الداخلة والخارجة والمتروكة أو المبقاة المذكورة مع الأسباب. تذكر القوائم كل سجل.",
    ),
    "no_line": (
        "No build made this file: what was done before is known only from the records.",
        "لم يصنع أي بناء هذا الملف: لا يعرف ما سبق إلا من السجلات.",
    ),
    "check": ("Checks of translations", "فحص الترجمات"),
    "check_text": (
        "{pairs} translations were compared with their originals by rules and lists{encoder}; {failed} ({share}) "
        "failed at least one check.",
        "قورنت {pairs} ترجمة بأصولها بالقواعد والقوائم{encoder}؛ لم تجتز {failed} منها ({share}) فحصا واحدا على الأقل.",
    ),
    "check_encoder": (" and by meaning ({name})", " وبالمعنى ({name})"),
    "check_kept": (
        "Those that failed were kept here and are marked in their provenance; a failed check is a reason to look, not "
        "a proof of a fault.",
        "أبقي ما لم يجتز وعليه علامة في مساره؛ عدم اجتياز فحص سبب للنظر وليس دليل خطأ.",
    ),
    "check_dropped": ("Those that failed were set aside.", "ترك ما لم يجتز."),
    "check_orphans": (
        "{count} records name an original that is not in the set and were not checked.",
        "تسمي {count} سجلات أصلا ليس في المجموعة فلم تفحص.",
    ),
    "check_unpaired": (
        "Arabic records that name no original (made from templates in both languages) were not checked.",
        "لم تفحص السجلات العربية التي لا تسمي أصلا (المصنوعة من قوالب باللغتين).",
    ),
    "review": ("Review by people", "مراجعة البشر"),
    "review_scripted": (
        "No person read these translations. A script went through the review page to prove the flow; its verdicts say "
        "nothing about quality, and changed and removed no text.",
        "لم يقرأ أي إنسان هذه الترجمات. مر برنامج على صفحة المراجعة لإثبات سير العمل؛ لا تقول أحكامه شيئا عن الجودة، "
        "ولم تغير نصا ولم تحذفه.",
    ),
    "review_flow": (
        "What the page counted, for the flow alone: {read} verdicts in {lots} strata ({states}).",
        "ما عدته الصفحة، لسير العمل وحده: {read} حكما في {lots} طبقة ({states}).",
    ),
    "review_read": (
        "{read} of {items} translations have a verdict ({states}).",
        "لعدد {read} من {items} ترجمة حكم ({states}).",
    ),
    "review_open": (
        "Strata marked as open have not been read enough for their plan.",
        "لم يقرأ من الطبقات المفتوحة ما يكفي لخطتها.",
    ),
    "agreement": (
        "Read twice, blind: {items}; equal {equal}, Krippendorff's alpha {alpha}, Gwet's AC1 {ac1}.",
        "قرئ مرتين دون اطلاع: {items}؛ الاتفاق {equal}، ألفا كريبندورف {alpha}، Gwet AC1 {ac1}.",
    ),
    "no_agreement": ("No translation was read twice.", "لم تقرأ أي ترجمة مرتين."),
    "stratum": ("stratum", "الطبقة"),
    "state": ("state", "الحال"),
    "size": ("size", "الحجم"),
    "decontaminate": ("Test items", "عناصر الاختبار"),
    "decontaminate_text": (
        "Compared with {sets}; {found} records were test items, copies, translations or near to them, and were left "
        "out.",
        "قورنت بـ {sets}؛ كان {found} سجلا عناصر اختبار أو نسخا أو ترجمات منها أو قريبا منها، وتركت.",
    ),
    "decontaminate_beside": (
        "Compared with {sets}; {found} records were found.",
        "قورنت بـ {sets}؛ وجد {found} سجلا.",
    ),
    "decontaminate_images": ("Images were opened and compared.", "فتحت الصور وقورنت."),
    "decontaminate_no_images": ("Images were not opened.", "لم تفتح الصور."),
    "same_question": (
        "{sets} shares images with training on purpose: there, {found} records went that ask a held-out question about "
        "the same image.",
        "تشترك {sets} في صور مع التدريب عمدا: ترك منها {found} سجلا يسأل سؤالا محجوزا عن الصورة نفسها.",
    ),
    "test_set": ("test set", "مجموعة الاختبار"),
    "items": ("items", "العناصر"),
    "phi": ("Identifying data", "بيانات الهوية"),
    "phi_text": (
        "{hit} of {records} records have something that may identify a person ({action}). This is a screen, not a "
        "guarantee.",
        "في {hit} من {records} سجل ما قد يحدد هوية شخص ({action}). هذا فرز وليس ضمانا.",
    ),
    "phi_redact": ("labels were put in its place", "وضعت مكانه علامات"),
    "phi_set_aside": ("these records were set aside", "تركت هذه السجلات"),
    "phi_report": ("these records were listed and kept", "ذكرت هذه السجلات وأبقيت"),
    "phi_images": ("Pictures were looked at too.", "ونظر في الصور أيضا."),
    "phi_no_images": (
        "Writing inside pictures was not looked for.",
        "لم يبحث عن كتابة داخل الصور.",
    ),
    "dedup": ("Near duplicates", "المكرر"),
    "dedup_text": (
        "{found} records say nearly the same about the same images as an earlier one (similarity {similarity}); "
        "{action}.",
        "يقول {found} سجلا ما يكاد يطابق سجلا سابقا عن الصور نفسها (التشابه {similarity})؛ {action}.",
    ),
    "dedup_drop": ("they were left out", "تركت"),
    "dedup_report": ("they were listed and kept", "ذكرت وأبقيت"),
    "llm": ("Language models", "النماذج اللغوية"),
    "mix": ("Mix and shards", "الخليط والأجزاء"),
    "mix_text": (
        "Mixed with seed {seed}, counted in {unit}; {targets}.",
        "خلطت بالبذرة {seed}، محسوبة بوحدة {unit}؛ {targets}.",
    ),
    "no_targets": ("no targets: all records were taken", "بلا أهداف: أخذت كل السجلات"),
    "targets": ("targets {names}", "الأهداف {names}"),
    "shard_text": (
        "{records} records and {images} images ({mb} MB) in {files} files.",
        "{records} سجل و{images} صورة ({mb} MB) في {files} ملف.",
    ),
    "limits": ("Known limits", "الحدود المعروفة"),
    "limit_machine": (
        "{count} records hold text translated by a machine: {note}.",
        "في {count} سجل نص ترجمته آلة: {note}.",
    ),
    "limit_failed": (
        "{count} records failed a translation check and are in the set.",
        "لم يجتز {count} سجلا فحص الترجمة وهي في المجموعة.",
    ),
    "limit_twins": (
        "Near duplicates were kept: up to {count} records.",
        "أبقي المكرر: حتى {count} سجل.",
    ),
    "limit_phi": (
        "What may identify a person was kept: up to {count} records.",
        "أبقي ما قد يحدد هوية شخص: حتى {count} سجل.",
    ),
    "limit_unread": (
        "No person has read the translations for this review.",
        "لم يقرأ أي إنسان الترجمات في هذه المراجعة.",
    ),
    "limit_missing": (
        "Not done, or no report of it was found: {names}.",
        "لم ينفذ أو لم يوجد له تقرير: {names}.",
    ),
    "limit_share": (
        "{share} of the records are of one source, {name}.",
        "{share} من السجلات من مصدر واحد هو {name}.",
    ),
    "limit_arabic": ("{share} of the records are in Arabic.", "{share} من السجلات بالعربية."),
    "missing": (
        "No report of this step was found: nothing is known.",
        "لم يوجد تقرير لهذه الخطوة: لا يعرف شيء.",
    ),
    "only_provenance": (
        "The records say that this step was taken ({count} of them); its report was not found.",
        "تقول السجلات إن الخطوة نفذت (عددها {count})؛ لم يوجد تقريرها.",
    ),
    "hashes": ("Hashes", "البصمات"),
    "lists": ("Lists of what was set aside", "قوائم المتروك"),
    "file": ("file", "الملف"),
    "made_with": ("Made with bimedix2 {version}.", "صنعت ببرنامج bimedix2 {version}."),
    "language": ("language", "اللغة"),
    "modality": ("modality", "النوع"),
    "task": ("task", "المهمة"),
    "source": ("source", "المصدر"),
    "split": ("split", "القسم"),
    "licence": ("licence", "الترخيص"),
    "records": ("records", "السجلات"),
    "pairs": ("pairs in both languages", "أزواج باللغتين"),
    "images": ("different images", "صور مختلفة"),
    "with_images": ("records with images", "سجلات بصور"),
    "cross_language": ("answered in another language", "أجيبت بلغة أخرى"),
    "en": ("English", "الإنجليزية"),
    "ar": ("Arabic", "العربية"),
    "total": ("total", "المجموع"),
    "step": ("step", "الخطوة"),
    "tool": ("tool", "الأداة"),
    "version": ("version", "النسخة"),
    "in": ("in", "الداخل"),
    "out": ("out", "الخارج"),
    "set_aside": ("set aside", "المتروك"),
    "listed": ("kept and listed", "مبقى ومذكور"),
    "failed": ("failed", "لم تجتز"),
    "name_check": ("check", "الفحص"),
    "kind": ("kind", "الصنف"),
    "count": ("number", "العدد"),
    "notes": ("notes", "ملاحظات"),
    "passed": ("passed", "اجتازت"),
    "open": ("open", "مفتوحة"),
    "and": (" and ", " و"),
}
