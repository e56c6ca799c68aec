# SPDX-License-Identifier: MIT
"""What is changed in QEMU's own files.

Ref: QEMU accel/tcg/cputlb.c, assert_cpu_is_self(); target/arm/tcg/translate.c, trans_ISB()
"""

NVIC = "hw/intc/armv7m_nvic.c"
MEMORY = "system/physmem.c"
REGISTERS = "target/arm/helper.c"
TCG = "target/arm/tcg"

OURS = (
    ("hw/Kconfig", "source ssi/Kconfig\n", "source ssi/Kconfig\nsource stm32mp/Kconfig\n"),
    ("hw/meson.build", "subdir('xtensa')\n", "subdir('xtensa')\nsubdir('stm32mp')\n"),
)
"""The directory of our machines."""

BUILD = (("pc-bios/meson.build", "if unpack_edk2_blobs", "if false"),)
"""Debian's tarball has no firmware of others, for which this asks all the same."""

LOCKUP = (
    (NVIC, '#include "hw/irq.h"\n', '#include "hw/irq.h"\n#include "hw/stm32mp/stm32mp.h"\n'),
    (NVIC, "cpu_abort(CPU(s->cpu),\n", "stm32mp_mcore_lockup(CPU(s->cpu),\n"),
)
"""A Cortex-M that locks up would end QEMU."""

FIREWALL = (
    (MEMORY, '#include "hw/boards.h"\n', '#include "hw/boards.h"\n#include "hw/stm32mp/stm32mp.h"\n'),
    (MEMORY, "    tlb_flush(notifier->cpu);\n", "    stm32mp_flush_tlb(notifier->cpu);\n"),
)
"""A firewall's change would empty another CPU's table that is being read: QEMU checks the thread only where
it is built for debugging."""

DSB = """\
static bool trans_DSB(DisasContext *s, arg_DSB *a)
{
    const ARMCPRegInfo *dsb = get_arm_cp_reginfo(
        s->cp_regs, ENCODE_CP_REG(15, 0, s->ns, 7, 10, 0, 4));

    if (!gen_barrier(s)) {
        return false;
    }
    if (dsb) {
        gen_helper_set_cp_reg(tcg_env, tcg_constant_ptr(dsb),
                              tcg_constant_i32(0));
        s->base.is_jmp = DISAS_TOO_MANY;
    }
    return true;
}
"""
CP15_DSB = '.name = "DSB", .cp = 15, .crn = 7, .crm = 10, .opc1 = 0, .opc2 = 4,\n      .access = PL0_W, '
OF_ALL_CPUS = " .access = PL1_W, .accessfn = access_ttlbis,\n      .writefn = tlbimva"
TLBI = (
    (f"{TCG}/meson.build", "  'tlb-insns.c',\n", "  'tlb-deferred.c',\n  'tlb-insns.c',\n"),
    (f"{TCG}/tlb-insns.c", '#include "cpregs.h"\n', '#include "cpregs.h"\n#include "tlb-deferred.h"\n'),
    (f"{TCG}/tlb-insns.c", "tlb_flush_page_all_cpus_synced(cs, value & ", "arm_tlbi_page_is(cs, value & "),
    (f"{TCG}/tlb-insns.c", f"NO_RAW,{OF_ALL_CPUS}", f"NO_RAW | ARM_CP_SUPPRESS_TB_END,{OF_ALL_CPUS}"),
    (
        f"{TCG}/translate.c",
        "bool trans_DSB(DisasContext *s, arg_DSB *a)\n",
        "bool gen_barrier(DisasContext *s)\n",
    ),
    (f"{TCG}/translate.c", "    return trans_DSB(s, NULL);\n}\n", f"    return gen_barrier(s);\n}}\n\n{DSB}"),
    (REGISTERS, '#include "hw/irq.h"\n', '#include "hw/irq.h"\n#include "tcg/tlb-deferred.h"\n'),
    (
        REGISTERS,
        f"{CP15_DSB}.type = ARM_CP_NOP",
        f"{CP15_DSB}.type = ARM_CP_NO_RAW, .writefn = arm_dsb",
    ),
)
"""TLBIMVAIS and its like are done by a DSB, which is the same as a write to CP15's:
firmware/machine/target/arm/tcg/tlb-deferred.c."""

WALK = "target/arm/ptw.c"
FOUND = "    domain_prot = (dacr >> (domain * 2)) & 3;\n"
NOTED = """\
    if (!ptw->in_debug) {
        arm_domain_is_used(env_cpu(env), address, domain);
    }
"""
WRITTEN = "    raw_write(env, ri, value);\n"
EMPTIED = f"{WRITTEN}    tlb_flush(CPU(cpu)); /* Flush TLB as domain not tracked in TLB */\n"
CHANGED = f"    arm_dacr_changes(CPU(cpu), raw_read(env, ri), value);\n{WRITTEN}"
DOMAINS = '#include "tcg/tlb-domains.h"\n'
DACR = (
    (f"{TCG}/meson.build", "  'tlb-insns.c',\n", "  'tlb-domains.c',\n  'tlb-insns.c',\n"),
    (WALK, '#include "idau.h"\n', f'#include "idau.h"\n{DOMAINS}'),
    (WALK, FOUND, f"{FOUND}{NOTED}"),
    (REGISTERS, '#include "hw/irq.h"\n', f'#include "hw/irq.h"\n{DOMAINS}'),
    (REGISTERS, EMPTIED, CHANGED),
)
"""DACR empties the TLB of what is in the changed domains: firmware/machine/target/arm/tcg/tlb-domains.c."""

WAITS = "        s->base.is_jmp = DISAS_WFE;\n    }\n    return true;\n}\n\nstatic bool trans_WFI"
CALLED = WAITS.replace("    }\n", "    } else {\n        gen_helper_wfe(tcg_env);\n    }\n")
A64_WAITS = WAITS.replace("trans_WFI", "trans_WFIT")
YIELDED = """\
{
    if (env_cpu(env)->tcg_cflags & CF_PARALLEL) {
        sched_yield();
        return;
    }
"""
WFE = (
    (f"{TCG}/translate.c", WAITS, CALLED),
    (f"{TCG}/translate-a64.c", A64_WAITS, CALLED.replace("trans_WFI", "trans_WFIT")),
    (
        f"{TCG}/op_helper.c",
        "void HELPER(wfe)(CPUARMState *env)\n{\n",
        f"void HELPER(wfe)(CPUARMState *env)\n{YIELDED}",
    ),
)
"""A CPU that waits by WFE lets another thread run, whose CPU may hold the lock, if the host has too few."""

JUMPS = """\
        /* A TB may be at any virtual address */
        CPU_FOREACH(cpu) {
            tcg_flush_jmp_cache(cpu);
        }
"""
INVALID = (("accel/tcg/tb-maint.c", JUMPS, "        /* tb_lookup() compares cflags: CF_INVALID is set */\n"),)
"""Each block that is no longer valid emptied the table of jumps of each CPU, of 64 KiB: Linux overwrites its
own init memory with 4600 blocks, which took 90 ms, now 35. Ref: accel/tcg/cpu-exec.c, tb_lookup()"""

ENTRIES = "        unsigned int n = tlb_n_entries(&cpu->neg.tlb.f[mmu_idx]);\n\n"
UNUSED = "        if (!(cpu->neg.tlb.c.dirty & (1 << mmu_idx))) {\n            continue;\n        }\n\n"
CLEAN = (("accel/tcg/cputlb.c", ENTRIES, f"{ENTRIES}{UNUSED}"),)
"""For each page with new code QEMU looks for it in all 16 TLBs of each CPU: not in those that have been empty
since their flush. Ref: accel/tcg/cputlb.c, tlb_flush_by_mmuidx_async_work()"""

REFUSED = """\
        unallocated_encoding(s);
        return false;
    }
    return true;
"""
ASKED = """\
        gen_helper_vfp_enabled(tcg_env);
        s->vfp_enabled = !s->condjmp;
    }
    return true;
"""
HELPER = """\
void HELPER(vfp_enabled)(CPUARMState *env)
{
    if (!(env->vfp.xregs[ARM_VFP_FPEXC] & (1 << 30))) {
        raise_exception_ra(env, EXCP_UDEF, syn_uncategorized(),
                           exception_target_el(env), GETPC());
    }
}

"""
FLAGGED = """\
            if (env->vfp.xregs[ARM_VFP_FPEXC] & (1 << 30)) {
                DP_TBFLAG_A32(flags, VFPEN, 1);
            }
"""
DECLARED = "DEF_HELPER_1(wfe, void, env)\n"
DEFINED = "void HELPER(wfe)(CPUARMState *env)\n"
VFP = (
    (REGISTERS, FLAGGED, ""),
    (f"{TCG}/translate-vfp.c", REFUSED, ASKED),
    (
        "target/arm/helper.h",
        DECLARED,
        f"{DECLARED}DEF_HELPER_FLAGS_1(vfp_enabled, TCG_CALL_NO_WG, void, env)\n",
    ),
    (f"{TCG}/op_helper.c", DEFINED, f"{HELPER}{DEFINED}"),
)
"""Whether FPEXC.EN is set is asked where an instruction wants it, once per block, not translated into each
block. 32-bit Linux sets it for a process that uses VFP, until another runs: a fifth of all blocks of a start
were there twice, for both. A VMSR that changes it ends its block.
Ref: Linux arch/arm/vfp/vfpmodule.c, vfp_notifier()"""

OSDEP = '#include "qemu/osdep.h"\n'
NOT_OPTIMISED = f'#pragma GCC optimize("O0")\n{OSDEP}'
HELPERS = ("sve_helper", "sme_helper", "mve_helper", "iwmmxt_helper", "mte_helper")
TRANSLATORS = ("translate-sve", "translate-sme", "translate-mve")
COLD = (
    *((f"{TCG}/{name}.c", OSDEP, NOT_OPTIMISED) for name in (*HELPERS, *TRANSLATORS)),
    *((f"scripts/qapi/{name}.py", OSDEP, NOT_OPTIMISED) for name in ("commands", "visit")),
)
"""Instructions that none of the boards' CPUs has, and what QMP is generated into: sve_helper.c alone takes
41 s of a CPU to optimise, 4 s not to."""

EDITS = (*OURS, *BUILD, *COLD, *LOCKUP, *FIREWALL, *TLBI, *DACR, *WFE, *INVALID, *CLEAN, *VFP)
"""File, text in it, what replaces each of its places."""
