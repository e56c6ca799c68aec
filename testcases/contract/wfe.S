/*
 * SPDX-License-Identifier: MIT
 *
 * Two Cortex-A7 that pass a turn to each other, ROUNDS times while they wait
 * for it by WFE, and as often while they look without a pause.  WORDS gets the
 * ticks of the counter for each.
 *
 * Ref: Arm Architecture Reference Manual, Armv7-A (DDI 0406C) B1.8.13 (WFE),
 *      B8.1 (CNTPCT)
 */
        .include "dk2.inc"

        .equ    TURN, 0xc1300000

        .macro  take wait       /* round r8 begins when TURN is r8 */
1:      ldr     r1, [r10]
        cmp     r1, r8
        .if \wait
        wfene
        .endif
        bne     1b
        add     r8, r8, #1
        str     r8, [r10]
        add     r8, r8, #1
        .endm

        .macro  rounds wait
        ldr     r10, =TURN
        ldr     r9, =ROUNDS
2:      take    \wait
        subs    r9, r9, #1
        bne     2b
        .endm

start:  start_cpu1 other
        mov     r8, #0
        mrrc    p15, 0, r4, r5, c14     /* CNTPCT */
        rounds  1
        mrrc    p15, 0, r6, r5, c14
        rounds  0
        mrrc    p15, 0, r7, r5, c14
        sub     r1, r6, r4
        sub     r2, r7, r6
        ldr     r0, =WORDS
        stm     r0, {r1, r2}
        finish

other:  mov     r8, #1
        rounds  1
        rounds  0
        b       .
