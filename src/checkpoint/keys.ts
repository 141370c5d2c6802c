/** Every key that Millrace writes outside a table's own log, in one place. */

const EPOCH_DIGITS = 12
const INCARNATION_DIGITS = 6

/** Which merge task: stage 0 reads partition tasks, each later one the stage before it; the keys are divided among the slices of a stage. */
export interface MergePlace {
  readonly stage: number
  readonly slice: number
}

/** 'merge-0', 'merge-1', … of stage 0; 'merge2-0' of stage 1, and so on. */
export function mergeTaskName({ stage, slice }: MergePlace): string {
  return `merge${stage === 0 ? '' : stage + 1}-${slice}`
}

/** Null where a task is no merge by its name. (A topic may be called so too, in a pipeline that has no such merge.) */
export function parseMergeTask(task: string): MergePlace | null {
  const match = /^merge([2-9]|[1-9]\d+)?-(0|[1-9]\d*)$/.exec(task)
  if (match === null) return null
  return { stage: match[1] === undefined ? 0 : Number(match[1]) - 1, slice: Number(match[2]) }
}

/** The merge tasks of one stage of a plan; none where it has no such stage. */
export function mergeTasksOfStage({ stages, slices }: MergeShape, stage: number): readonly string[] {
  if (stage < 0 || stage >= stages) return []
  return Array.from({ length: slices }, (_, slice) => mergeTaskName({ stage, slice }))
}

/** All merge tasks of a plan, stage by stage. */
export function mergeTasksOf(shape: MergeShape): readonly string[] {
  return Array.from({ length: shape.stages }, (_, stage) => mergeTasksOfStage(shape, stage)).flat()
}

/** Of a plan. */
export interface MergeShape {
  /** 0 where the pipeline has no windows. */
  readonly stages: number
  /** Of each stage. */
  readonly slices: number
}

/** Who staged a file, as its name says. */
export interface StagedName {
  readonly epoch: number
  readonly claim: number
  readonly nonce: string
}

export class ChainKeys {
  readonly #root: string
  readonly #pipeline: string
  readonly #incarnation: number

  constructor(pipeline: string, incarnation: number) {
    this.#root = `_millrace/${pipeline}/${pad(incarnation, INCARNATION_DIGITS)}`
    this.#pipeline = pipeline
    this.#incarnation = incarnation
  }

  static incarnationPrefix(pipeline: string): string {
    return `_millrace/${pipeline}/incarnations/`
  }

  static incarnation(pipeline: string, incarnation: number): string {
    return `${ChainKeys.incarnationPrefix(pipeline)}${pad(incarnation, INCARNATION_DIGITS)}.json`
  }

  static programPrefix(pipeline: string, incarnation: number): string {
    return `_millrace/${pipeline}/programs/${pad(incarnation, INCARNATION_DIGITS)}-`
  }

  /** A program that the incarnation went on with: the second, the third, … */
  static program(pipeline: string, incarnation: number, program: number): string {
    return `${ChainKeys.programPrefix(pipeline, incarnation)}${pad(program, INCARNATION_DIGITS)}.json`
  }

  /** What the history of a backfill is for one task. `lists` names those of one start. */
  static history(pipeline: string, lists: string, task: string): string {
    return `${ChainKeys.historyPrefix(pipeline)}${lists}/${task}.json`
  }

  static historyPrefix(pipeline: string): string {
    return `_millrace/${pipeline}/history/`
  }

  /** All chains of the incarnation. */
  get root(): string {
    return `${this.#root}/`
  }

  chainPrefix(task: string): string {
    return `${this.#root}/${task}/`
  }

  record(task: string, epoch: number): string {
    return `${this.chainPrefix(task)}${pad(epoch, EPOCH_DIGITS)}.json`
  }

  stagedPrefix(task: string): string {
    return `${this.#root}/_staged/${task}/`
  }

  /** State and partials. `kind` is a word. */
  staged(task: string, name: StagedName, kind: string): string {
    return `${this.stagedPrefix(task)}${stem(name)}-${kind}.json`
  }

  /** A dead letter that its topic does not take. It is kept for as long as the letter may be read, so it is no state of the task. */
  letter(task: string, name: StagedName, index: number): string {
    return `${this.#root}/_letters/${task}/${stem(name)}-${index}.json`
  }

  /** Where a membership keeps what it needs. */
  get leasePrefix(): string {
    return `${this.#root}/_leases/`
  }

  get schemaPrefix(): string {
    return `${this.#root}/_schemas/`
  }

  /** The schema that records with this id, or this UUID of a schema version, were first read with. */
  schema(id: number | string): string {
    return `${this.schemaPrefix}${id}.json`
  }

  /** The names of a task's files in any table begin with this. */
  filePrefix(task: string): string {
    return `${this.#pipeline}-${this.#incarnation}-${task}-`
  }

  /** Sorts before every key of this epoch and later ones that begins with `prefix`, and after all others that do. */
  beforeEpoch(prefix: string, epoch: number): string {
    return `${prefix}${pad(epoch, EPOCH_DIGITS)}`
  }

  /** A data file's name, without its folder. */
  file(task: string, name: StagedName, index: number, extension: string): string {
    return `${this.filePrefix(task)}${stem(name)}-${index}.${extension}`
  }

  /** The appId of a task in the tables' logs. */
  appId(task: string): string {
    return `${this.#pipeline}/${this.#incarnation}/${task}`
  }

  /** The appId whose version is the newest incarnation that has written to a table. */
  get incarnationAppId(): string {
    return this.#pipeline
  }
}

/** Object `part` of a staged one that is written in several; the first has the key itself. */
export function partKey(key: string, part: number): string {
  return part === 0 ? key : key.replace(/\.json$/, `-${part}.json`)
}

/** Of an incarnation, the folders of other things than chains. (A topic's name, and so a task's, may begin with '_' too.) */
const OTHER_FOLDERS: ReadonlySet<string> = new Set(['_staged', '_letters', '_schemas', '_leases'])

/** Whether a folder below an incarnation's `root` is the chain of a task. */
export function isChainFolder(name: string): boolean {
  return !OTHER_FOLDERS.has(name)
}

/** The epoch in a record's key; null where it is something else. */
export function epochOfRecordKey(key: string): number | null {
  const match = /\/(\d{12})\.json$/.exec(key)
  return match === null ? null : Number(match[1])
}

/** Reads a staged name that follows `prefix` in a key. Null where it is something else. */
export function parseStagedName(key: string, prefix: string): StagedName | null {
  const at = key.lastIndexOf(prefix)
  if (at < 0) return null
  const match = /^(\d{12})-(\d{12})-([0-9a-z]+)-/.exec(key.slice(at + prefix.length))
  if (match === null) return null
  return { epoch: Number(match[1]), claim: Number(match[2]), nonce: match[3]! }
}

function stem(name: StagedName): string {
  return `${pad(name.epoch, EPOCH_DIGITS)}-${pad(name.claim, EPOCH_DIGITS)}-${name.nonce}`
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0')
}
