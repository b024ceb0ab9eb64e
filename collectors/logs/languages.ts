/**
 * The words that a server writes in the language of its `lc_messages`, by which entries are known: severities, and the
 * labels of the lines that belong to an entry. All languages that PostgreSQL 12 to 18 ship for the server
 * (`src/backend/po/LINGUAS`), as their message catalogues have them. Others, such as Czech, Greek and Traditional
 * Chinese, are languages of the client programs alone: a server with such `lc_messages` writes English.
 *
 * @module
 */

import type { LogEntryLevel } from "./entry.ts";

/** What a line that belongs to an entry is, in the order in which the server writes them. */
export const lineKinds = ["detail", "hint", "query", "context", "location", "backtrace", "statement"] as const;
export type LineKind = (typeof lineKinds)[number];

/** The words of one language. */
export interface Language {
  /** As in `lc_messages`, without territory where there is one only. */
  name: string;
  /** From DEBUG to PANIC, one a level. */
  severities: readonly string[];
  /** One a {@link lineKinds}, without the colon and what follows; alternatives of older versions behind a `|`. */
  labels: readonly string[];
  /** What follows a message: the position in the statement, `#` for the number; alternatives behind a `|`. */
  position: string;
  /** What stands for a name that is not known (yet). */
  unknownName: string;
}

const severityLevels = ["DEBUG", "LOG", "INFO", "NOTICE", "WARNING", "ERROR", "FATAL", "PANIC"] as const;

function language(name: string, severities: string, rest: [labels: string, position: string, unknown: string]) {
  const [labels, position, unknownName] = rest;
  return { name, severities: severities.split(" "), labels: labels.split(","), position, unknownName };
}

/** English first. */
export const languages: readonly Language[] = [
  language("en", "DEBUG LOG INFO NOTICE WARNING ERROR FATAL PANIC", [
    "DETAIL,HINT,QUERY,CONTEXT,LOCATION,BACKTRACE,STATEMENT",
    " at character #",
    "[unknown]",
  ]),
  language("de", "DEBUG LOG INFO HINWEIS WARNUNG FEHLER FATAL PANIK", [
    "DETAIL,TIPP,ANFRAGE,ZUSAMMENHANG,ORT,BACKTRACE,ANWEISUNG",
    " bei Zeichen #",
    "[unbekannt]",
  ]),
  language("es", "DEBUG LOG INFO NOTICE WARNING ERROR FATAL PANIC", [
    "DETALLE,HINT|SUGERENCIA,CONSULTA,CONTEXTO,UBICACIÓN,BACKTRACE,SENTENCIA",
    " en carácter #",
    "[desconocido]",
  ]),
  language("fr", "DEBUG LOG INFO NOTICE ATTENTION ERREUR FATAL PANIC", [
    "DÉTAIL,ASTUCE,REQUÊTE,CONTEXTE,EMPLACEMENT,PILE D'APPEL,INSTRUCTION",
    " au caractère #",
    "[inconnu]",
  ]),
  language("id", "DEBUG LOG INFO NOTICE PERINGATAN ERROR FATAL PANIK", [
    "DETIL,PETUNJUK,QUERY,KONTEKS,LOKASI,BACKTRACE,PERNYATAAN",
    " pada karakter #",
    "[tidak diketahui]",
  ]),
  language("it", "DEBUG LOG INFO NOTIFICA ATTENZIONE ERRORE FATALE PANICO", [
    "DETTAGLI,SUGGERIMENTO,QUERY,CONTESTO,POSIZIONE,BACKTRACE,ISTRUZIONE",
    " al carattere #",
    "[sconosciuto]",
  ]),
  language("ja", "DEBUG LOG INFO NOTICE WARNING ERROR FATAL PANIC", [
    "詳細,ヒント,問い合わせ|クエリ,文脈|コンテキスト,場所,バックトレース,文|ステートメント",
    "(#文字目)",
    "[不明]",
  ]),
  language("ka", "გამართვა ჟურნალი ინფორმაცია გაფრთხილება გაფრთხილება შეცდომა ფატალური პანიკა", [
    "დეტალები,მინიშნება,მოთხოვნა,კონტექსტი,მდებარეობა,სტეკი,ოპერატორი",
    " სიმბოლოსთან #",
    "[უცნობი]",
  ]),
  language("ko", "디버그 로그 정보 알림 경고 오류 치명적오류 손상", [
    "상세정보,힌트,쿼리,내용,위치,역추적,명령 구문",
    " # 번째 문자 부근",
    "[알수없음]",
  ]),
  language("pl", "DEBUG DZIENNIK INFORMACJA UWAGA OSTRZEŻENIE BŁĄD KATASTROFALNY PANIKA", [
    "SZCZEGÓŁY,PODPOWIEDŹ,ZAPYTANIE,KONTEKST,POZYCJA,BACKTRACE,WYRAŻENIE",
    " przy znaku #",
    "[nieznany]",
  ]),
  language("pt_BR", "DEPURAÇÃO LOG INFO NOTA AVISO ERRO FATAL PÂNICO", [
    "DETALHE,DICA,CONSULTA,CONTEXTO,LOCAL,BACKTRACE,COMANDO",
    " no caracter #| no caractere #",
    "[desconhecido]",
  ]),
  language("ru", "ОТЛАДКА СООБЩЕНИЕ ИНФОРМАЦИЯ ЗАМЕЧАНИЕ ПРЕДУПРЕЖДЕНИЕ ОШИБКА ВАЖНО ПАНИКА", [
    "ПОДРОБНОСТИ,ПОДСКАЗКА,ЗАПРОС,КОНТЕКСТ,ПОЛОЖЕНИЕ,СТЕК,ОПЕРАТОР",
    " (символ #)",
    "[н/д]",
  ]),
  language("sv", "DEBUG LOGG INFO NOTIS VARNING FEL FATALT PANIK", [
    "DETALJ,TIPS,FRÅGA,KONTEXT,PLATS,BACKTRACE,SATS",
    " vid tecken #",
    "[okänd]",
  ]),
  language("tr", "DEBUG LOG BİLGİ NOT UYARI HATA ÖLÜMCÜL_(FATAL) KRİTİK", [
    "AYRINTI|DETAY,İPUCU,SORGU,BAĞLAM|ETKİNLİK|ORTAM,YER|YERİ,BACKTRACE,KOMUT|İFADE",
    " # karakterinde | # karakterinde",
    "[bilinmeyen]",
  ]),
  language("uk", "НАЛАГОДЖЕННЯ ЗАПИСУВАННЯ ІНФОРМАЦІЯ ПОВІДОМЛЕННЯ ПОПЕРЕДЖЕННЯ ПОМИЛКА ФАТАЛЬНО ПАНІКА", [
    "ВІДОМОСТІ,УКАЗІВКА,ЗАПИТ,КОНТЕКСТ,РОЗТАШУВАННЯ,ВІДСТЕЖУВАТИ,ІНСТРУКЦІЯ",
    " символ #",
    "[unknown]",
  ]),
  language("zh_CN", "调试 日志 信息 注意 警告 错误 致命错误 比致命错误还过分的错误", [
    "详细信息,提示,查询,上下文,位置,BACKTRACE,语句",
    " 第 # 个字符处",
    "[未知]",
  ]),
];

const levelOfWord = new Map<string, LogEntryLevel>();
const kindOfWord = new Map<string, LineKind>();
const unknownNames = new Set<string>();
const positions: RegExp[] = [];
for (const { severities, labels, position, unknownName } of languages) {
  // Of two levels with one word (Georgian) the more severe one is kept.
  severities.forEach((word, index) => levelOfWord.set(word.replaceAll("_", " "), severityLevels[index]!));
  labels.forEach((words, index) => words.split("|").forEach((word) => kindOfWord.set(word, lineKinds[index]!)));
  unknownNames.add(unknownName);
  for (const form of position.split("|")) {
    const [before = "", after = ""] = form.split("#").map((part) => part.replace(/[()]/g, "\\$&"));
    positions.push(new RegExp(`${before}(\\d{1,10})${after}$`));
  }
}

/** All words for a severity, longest first so that none hides another. */
export const severityWords: readonly string[] = longestFirst(levelOfWord.keys());
/** All words that begin a line that belongs to an entry. */
export const labelWords: readonly string[] = longestFirst(kindOfWord.keys());

/** The level that a word stands for in any language. The SQLSTATE tells a notice from a warning where words do not. */
export function levelOf(word: string, sqlstate: string | null = null): LogEntryLevel {
  // What nearly all lines have: faster than the map, which has to hash each new string.
  if (word === "LOG") return "LOG";
  if (word === "ERROR") return "ERROR";
  const level = levelOfWord.get(word) ?? "UNKNOWN";
  return level === "WARNING" && sqlstate !== null && sqlstate.startsWith("00") ? "NOTICE" : level;
}

/** What a line is that begins with this label. */
export function kindOf(label: string): LineKind | null {
  return kindOfWord.get(label) ?? null;
}

/** A name, or null for one that the server does not know. */
export function knownName(name: string | undefined): string | null {
  return name === undefined || name === "" || (name.charCodeAt(0) === 91 && unknownNames.has(name)) ? null : name;
}

/** A message with the position at its end in English. */
export function englishPosition(message: string): string {
  for (const pattern of positions.slice(1)) {
    const match = pattern.exec(message);
    if (match !== null) return `${message.slice(0, match.index)} at character ${match[1]}`;
  }
  return message;
}

function longestFirst(words: Iterable<string>): string[] {
  return [...words].sort((one, other) => other.length - one.length || (one < other ? -1 : 1));
}
