// SPDX-License-Identifier: BSD-2-Clause
/*
 * Type-length-value records of a signed image. The first one of a type counts,
 * whatever its length claims.
 *
 * Ref: OP-TEE 4.0.0-stm32mp-r2 ta/remoteproc/src/remoteproc_core.c,
 *      remoteproc_get_tlv(), remoteproc_set_platform_tlv()
 */

#include <string.h>

#include "st_ta.h"

#define HEAD_SIZE	8

#define PLATFORM_MIN	U(0x10000)
#define PLATFORM_MAX	U(0x20000)

uint32_t st_read_u32(const void *p)
{
	uint32_t value = 0;

	memcpy(&value, p, sizeof(value));

	return TEE_U32_FROM_LITTLE_ENDIAN(value);
}

static uint8_t *next(uint8_t *record, size_t length)
{
	return record + ROUNDUP(HEAD_SIZE + length, sizeof(uint64_t));
}

/* The signature follows, so that a head at the end of the area can be read */
TEE_Result st_tlv_get(const struct st_tlvs *tlvs, uint32_t type,
		      uint8_t **value, size_t *size)
{
	uint8_t *end = tlvs->start + tlvs->size;
	uint8_t *record = tlvs->start;

	*value = NULL;
	*size = 0;

	while (record < end) {
		uint32_t length = st_read_u32(record + sizeof(uint32_t));

		if (st_read_u32(record) == type) {
			*value = record + HEAD_SIZE;
			*size = length;
			return length ? TEE_SUCCESS : TEE_ERROR_NO_DATA;
		}
		record = next(record, length);
	}

	return TEE_ERROR_NO_DATA;
}

bool st_tlv_whole(const struct st_tlvs *tlvs, const uint8_t *value, size_t size)
{
	return value <= tlvs->end && size <= (size_t)(tlvs->end - value);
}

TEE_Result st_tlv_platform(const struct st_tlvs *tlvs, uint32_t core,
			   TEE_Result (*take)(uint32_t core, uint32_t type,
					      void *value, size_t size))
{
	uint8_t *end = tlvs->start + tlvs->size;
	uint8_t *record = tlvs->start;

	while (record < end) {
		uint32_t type = st_read_u32(record);
		uint16_t length = st_read_u32(record + sizeof(uint32_t));
		TEE_Result res = TEE_SUCCESS;

		if (type >= PLATFORM_MIN && type < PLATFORM_MAX) {
			if (!st_tlv_whole(tlvs, record + HEAD_SIZE, length))
				return TEE_ERROR_BAD_PARAMETERS;
			res = take(core, type, record + HEAD_SIZE, length);
			if (res)
				return res;
		}
		record = next(record, length);
	}

	return TEE_SUCCESS;
}
