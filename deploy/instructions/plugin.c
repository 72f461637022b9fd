/* A plugin of QEMU's user mode that counts what an aarch64 program executes: all instructions,
 * loads and stores, SIMD and float, and int8 dot products (SDOT), as one line when it ends. It also
 * says so whenever the program closes file -7, which is none. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define VISIBLE __attribute__((visibility("default")))

/* What is needed of qemu-plugin.h (QEMU 7.2), which Debian does not pack. */
typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { ADD_U64 = 0 };
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(
    plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t, uint64_t));
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
VISIBLE int qemu_plugin_version = 1;

enum { CLOSE = 57, MARK = -7 }; /* a system call of aarch64, and what it is given */
enum { ALL, MEMORY, SIMD, DOT, KINDS };
static uint64_t counted[KINDS];

/* Count the kinds in a block once; each execution of the block adds them. */
static void translated(plugin_id id, struct qemu_plugin_tb *block) {
    uint64_t found[KINDS] = {qemu_plugin_tb_n_insns(block)};
    for (size_t n = 0; n < found[ALL]; n++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, n)), sizeof word);
        uint32_t group = word >> 25 & 0xf; /* Arm ARM, C4.1 */
        found[MEMORY] += (group & 5) == 4;
        found[SIMD] += (group & 7) == 7;
        found[DOT] += (word & 0xBFE0FC00) == 0x0E809400 || (word & 0xBFC0F400) == 0x0F80E000;
    }
    for (int kind = 0; kind < KINDS; kind++)
        if (found[kind])
            qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &counted[kind], found[kind]);
}

static void say(void) {
    fprintf(stderr, "%lu %lu %lu %lu\n", counted[ALL], counted[MEMORY], counted[SIMD], counted[DOT]);
}

static void asked(plugin_id id, unsigned cpu, int64_t number, uint64_t file, uint64_t b, uint64_t c,
                  uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
    if (number == CLOSE && (int32_t)file == MARK)
        say();
}

static void ended(plugin_id id, void *nothing) { say(); }

VISIBLE int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, asked);
    qemu_plugin_register_atexit_cb(id, ended, 0);
    return 0;
}
