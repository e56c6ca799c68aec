/*
 * SPDX-License-Identifier: MIT
 *
 * A Cortex-A7, its TLB and DACR: PAGES pages of domain 1, which may be read and
 * not written, are used after each change of DACR.  WORDS gets how many
 * accesses went well each time.
 *
 * Ref: Arm Architecture Reference Manual, Armv7-A (DDI 0406C) B3.5.1 (short
 *      descriptors), B3.7 (AP), B3.12.3 (domains), B4.1.43 (DACR)
 */
        .include "dk2.inc"

        .equ    DATA, 0xc1200000
        .equ    NONE, 0                 /* of domain 1 */
        .equ    CLIENT, 1
        .equ    MANAGER, 3

        .macro  use domain1, access     /* domain 0 stays a client */
        mov     r0, #1 + 4 * \domain1
        mcr     p15, 0, r0, c3, c0, 0   /* DACR */
        isb
        ldr     r0, =WINDOW
        ldr     r1, =PAGES
        mov     r9, #0
1:      mov     r3, #1                  /* the handler makes it 0 */
        \access r2, [r0]
        add     r9, r9, r3
        add     r0, r0, #0x1000
        subs    r1, r1, #1
        bne     1b
        str     r9, [r10], #4
        .endm

start:  b       begin
        nop
        nop
        nop
        b       aborted
begin:  adr     r0, start
        mcr     p15, 0, r0, c12, c0, 0  /* VBAR */
        tables  1
        ldr     r0, =SMALL_PAGES
        ldr     r1, =DATA + 0x232       /* small page, read only */
        ldr     r2, =PAGES
3:      str     r1, [r0], #4
        subs    r2, r2, #1
        bne     3b
        translate 1
        ldr     r10, =WORDS
        use     CLIENT, ldr
        use     NONE, ldr
        use     CLIENT, ldr
        use     CLIENT, str
        use     MANAGER, str
        use     CLIENT, str
        use     NONE, ldr
        use     MANAGER, ldr
        finish

aborted:
        mov     r3, #0
        subs    pc, lr, #4
