/** Whole numbers of 32 bits in a row that grows. */
export class IntList {
  length = 0
  values = new Int32Array(16)

  push(value: number): void {
    if (this.length === this.values.length) {
      const values = new Int32Array(this.values.length * 2)
      values.set(this.values)
      this.values = values
    }
    this.values[this.length++] = value
  }

  /** Forgets all, and a large memory too. */
  clear(): void {
    this.length = 0
    if (this.values.length > 65_536) this.values = new Int32Array(16)
  }
}
