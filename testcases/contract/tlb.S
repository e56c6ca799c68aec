/*
 * SPDX-License-Identifier: MIT
 *
 * Two Cortex-A7 and the TLB: CPU 0 changes PAGES translations, takes them out
 * of all TLBs and says so; CPU 1, which has used them all the time, must not
 * see one of the old.  In round N a page of the window has the word N & 1.
 *
 * PAGES, ROUNDS, DESCENDING, ANY_ASID (TLBIMVAAIS), CP15 (its DSB): symbols
 *
 * Ref: Arm Architecture Reference Manual, Armv7-A (DDI 0406C) B3.5.1 (short
 *      descriptors), B3.10 (TLB maintenance), A3.8.3 (DSB)
 */
        .include "dk2.inc"

        .equ    DATA, 0xc1200000        /* two pages, with words 0 and 1 */
        .equ    FLAGS, 0xc1300000
        .equ    READY, 0                /* round in which CPU 1 uses pages */
        .equ    GO, 4                   /* round whose translations are in force */
        .equ    STALE, 8                /* what CPU 1 has seen of an earlier one */

start:  tables  0
        ldr     r0, =DATA + 0x1000
        mov     r8, #1
        str     r8, [r0]
        mov     r8, #0
        bl      map
        start_cpu1 other
        bl      mmu
        mov     r9, #0
        mov     r8, #1
        ldr     r10, =FLAGS
round:  ldr     r1, [r10, #READY]
        cmp     r1, r8
        bne     round
        bl      map
        dsb
        ldr     r0, =WINDOW + DESCENDING * (PAGES - 1) * 0x1000
        ldr     r1, =PAGES
2:      mcr     p15, 0, r0, c8, c3, 1 + 2 * ANY_ASID
        .if DESCENDING
        sub     r0, r0, #0x1000
        .else
        add     r0, r0, #0x1000
        .endif
        subs    r1, r1, #1
        bne     2b
        .if CP15
        mcr     p15, 0, r1, c7, c10, 4
        .else
        dsb
        .endif
        str     r8, [r10, #GO]
        isb
        bl      check
        add     r8, r8, #1
        ldr     r1, =ROUNDS + 1
        cmp     r8, r1
        bne     round
3:      ldr     r1, [r10, #READY]
        cmp     r1, r8
        bne     3b
        ldr     r1, [r10, #STALE]
        ldr     r0, =WORDS
        stm     r0, {r1, r9}
        finish

other:  bl      mmu
        mov     r9, #0
        mov     r8, #1
        ldr     r10, =FLAGS
4:      str     r9, [r10, #STALE]
        dmb
        str     r8, [r10, #READY]
5:      bl      use
        ldr     r1, [r10, #GO]
        cmp     r1, r8
        bne     5b
        dmb
        bl      check
        add     r8, r8, #1
        b       4b

mmu:    translate 0xffffffff            /* all domains are managed */
        bx      lr

/* Translations of round r8 */
map:    ldr     r0, =SMALL_PAGES
        ldr     r1, =DATA + 0x32        /* small page, read and write */
        and     r2, r8, #1
        add     r1, r1, r2, lsl #12
        ldr     r2, =PAGES
6:      str     r1, [r0], #4
        subs    r2, r2, #1
        bne     6b
        bx      lr

/* Adds pages that are not of round r8 to r9 */
check:  ldr     r0, =WINDOW
        ldr     r1, =PAGES
        and     r3, r8, #1
7:      ldr     r2, [r0]
        cmp     r2, r3
        addne   r9, r9, #1
        add     r0, r0, #0x1000
        subs    r1, r1, #1
        bne     7b
        bx      lr

use:    ldr     r0, =WINDOW
        ldr     r1, =PAGES
8:      ldr     r2, [r0]
        add     r0, r0, #0x1000
        subs    r1, r1, #1
        bne     8b
        bx      lr
